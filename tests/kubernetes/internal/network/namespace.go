// Package network makes the network of a cluster: a namespace for every node, joined by a bridge in the namespace of the control plane.
package network

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// Folder is where iproute2 keeps named namespaces.
const Folder = "/run/netns"

// Exists says whether a namespace of this name exists.
func Exists(namespace string) bool {
	_, err := os.Stat(filepath.Join(Folder, namespace))
	return err == nil
}

// Within runs an action inside a network namespace. Processes that it starts stay there. Only the network changes: unlike
// `ip netns exec`, mounts stay as they are, which containerd and the kubelet need (they look for the cgroups below /sys).
func Within(namespace string, action func() error) error {
	target, err := os.Open(filepath.Join(Folder, namespace))
	if err != nil {
		return fmt.Errorf("the network namespace %s does not exist: %w", namespace, err)
	}
	defer func() { _ = target.Close() }()

	result := make(chan error, 1)
	// A thread of its own, which ends with its goroutine because it stays locked: no other code can ever run in the wrong namespace.
	go func() {
		runtime.LockOSThread()
		if err := unix.Setns(int(target.Fd()), unix.CLONE_NEWNET); err != nil {
			result <- fmt.Errorf("cannot enter the network namespace %s (are you root?): %w", namespace, err)
			return
		}
		result <- action()
	}()
	return <-result
}

// Identity names a namespace's kernel object, as /proc/PID/ns/net shows it.
func Identity(namespace string) (string, error) {
	var identity string
	err := Within(namespace, func() error {
		var err error
		identity, err = os.Readlink("/proc/thread-self/ns/net")
		return err
	})
	return identity, err
}

func setSysctls(namespace string, values map[string]string) error {
	return Within(namespace, func() error {
		for name, value := range values {
			path := filepath.Join("/proc/sys", strings.ReplaceAll(name, ".", "/"))
			if err := os.WriteFile(path, []byte(value), 0o644); err != nil {
				return fmt.Errorf("cannot set %s in the namespace %s: %w", name, namespace, err)
			}
		}
		return nil
	})
}

func ip(arguments string, values ...any) error {
	command := fmt.Sprintf(arguments, values...)
	output, err := exec.Command("ip", strings.Fields(command)...).CombinedOutput()
	if err != nil {
		return fmt.Errorf("`ip %s` failed: %w: %s", command, err, strings.TrimSpace(string(output)))
	}
	return nil
}
