// Package state keeps what is known of the cluster between one invocation and the next.
package state

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"dynamokv.dev/tests/kubernetes/internal/layout"
)

// Lock is held by whoever changes the cluster. It is the machine's, not the checkout's, since the names of the namespaces are.
type Lock struct{ file *os.File }

// Acquire waits until nobody else changes a cluster on this machine. The kernel frees the lock when its holder dies.
func Acquire(ctx context.Context, say func(string, ...any)) (*Lock, error) {
	return acquire(ctx, filepath.Join(layout.RunDir, "lock"), say)
}

func acquire(ctx context.Context, path string, say func(string, ...any)) (*Lock, error) {
	for said := false; ; {
		lock, err := try(path)
		if lock != nil || err != nil {
			return lock, err
		}
		if !said {
			say("another kubebox is at work on this machine; waiting for it")
			said = true
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("gave up waiting for the other kubebox that holds %s: %w", path, context.Cause(ctx))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// try gives the lock, or nil if another has it.
func try(path string) (*Lock, error) {
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, fmt.Errorf("cannot make %s (are you root?): %w", filepath.Dir(path), err)
	}
	file, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o644)
	if err != nil {
		return nil, fmt.Errorf("cannot open %s (are you root?): %w", path, err)
	}
	if err := unix.Flock(int(file.Fd()), unix.LOCK_EX|unix.LOCK_NB); err != nil {
		_ = file.Close()
		if errors.Is(err, unix.EWOULDBLOCK) || errors.Is(err, unix.EINTR) {
			return nil, nil
		}
		return nil, fmt.Errorf("cannot lock %s: %w", path, err)
	}
	// The holder before may have removed the file; then this is a lock on nothing, and somebody else may hold the new file's.
	locked, err := file.Stat()
	if err != nil {
		_ = file.Close()
		return nil, fmt.Errorf("cannot look at %s: %w", path, err)
	}
	if named, err := os.Stat(path); err != nil || !os.SameFile(locked, named) {
		_ = file.Close()
		return nil, nil
	}
	return &Lock{file: file}, nil
}

// Release lets the next one in.
func (l *Lock) Release() { _ = l.file.Close() }

func ownerFile() string { return filepath.Join(layout.RunDir, "owner") }

// Other gives the home of another checkout whose cluster is up on this machine; empty if there is none. Remains of one that died, or whose
// folder was removed, do not count: whoever comes next clears them away.
func Other(home layout.Home) layout.Home {
	owner := Owner()
	if owner == "" || owner == home {
		return ""
	}
	if _, err := os.Stat(owner.State()); err != nil {
		return ""
	}
	return owner
}

// Claim notes whose cluster is on this machine.
func Claim(home layout.Home) error {
	if err := os.WriteFile(ownerFile(), []byte(home), 0o644); err != nil {
		return fmt.Errorf("cannot note the cluster's owner: %w", err)
	}
	return nil
}

// Owner gives the home of the cluster that is on this machine, whole or in part; empty if there is none.
func Owner() layout.Home {
	text, err := os.ReadFile(ownerFile())
	if err != nil {
		return ""
	}
	return layout.Home(strings.TrimSpace(string(text)))
}

// Disclaim notes that the machine has no cluster.
func Disclaim() { _ = os.Remove(ownerFile()) }
