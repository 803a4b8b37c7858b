package cluster

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"

	"dynamokv.dev/tests/kubernetes/internal/layout"
)

// Logs gathers in a folder all there is to see of the cluster: the logs of its programs and of its pods, also of those that have ended,
// and what the API server says. It goes on past what cannot be had, and notes it.
func (h *Harness) Logs(ctx context.Context, folder string) error {
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return fmt.Errorf("cannot make the folder for the logs: %w", err)
	}
	problems := []error{copyTree(h.home.Logs(), filepath.Join(folder, "programs"))}
	for _, each := range h.home.Nodes(layout.MaxNodes) {
		problems = append(problems, copyTree(filepath.Join(each.Data(), "pods"), filepath.Join(folder, "pods", each.Name())))
	}
	if exists(h.home.Kubeconfig()) {
		problems = append(problems, h.askAll(ctx, folder))
	}
	if err := errors.Join(problems...); err != nil {
		return errors.Join(fmt.Errorf("some logs could not be gathered in %s", folder), err)
	}
	return nil
}

// askAll keeps the answers to what one asks first when something is wrong.
func (h *Harness) askAll(ctx context.Context, folder string) error {
	questions := map[string]string{
		"nodes.txt":    "describe nodes",
		"pods.txt":     "describe pods --all-namespaces",
		"objects.txt":  "get all,pvc,pv,configmaps,leases --all-namespaces --output=wide",
		"events.txt":   "get events --all-namespaces --sort-by=.lastTimestamp",
		"clusters.txt": "get dynamoclusters --all-namespaces --output=yaml --ignore-not-found",
	}
	for name, question := range questions {
		limited, cancel := context.WithTimeout(ctx, 20*time.Second)
		output, err := h.Kubectl(limited, nil, strings.Fields(question)...)
		cancel()
		if err != nil {
			output += err.Error() + "\n"
		}
		if err := os.WriteFile(filepath.Join(folder, name), []byte(output), 0o644); err != nil {
			return fmt.Errorf("cannot write %s: %w", name, err)
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	return nil
}

// gatherFailure keeps what can be seen of a failed start before it is cleared away.
func (h *Harness) gatherFailure() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	if err := h.Logs(ctx, h.home.Failure()); err != nil {
		h.Say("%v", err)
	}
}

// copyTree copies regular files; a tree that does not exist is empty.
func copyTree(from, to string) error {
	return filepath.WalkDir(from, func(path string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		relative, err := filepath.Rel(from, path)
		if err != nil {
			return err
		}
		target := filepath.Join(to, relative)
		if err := os.MkdirAll(filepath.Dir(target), 0o755); err != nil {
			return err
		}
		if err := copyFile(path, target); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return nil
	})
}
