// Package cgroup makes and removes the root cgroups of the nodes, under version 1 (also hybrid) and version 2.
package cgroup

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const mountPoint = "/sys/fs/cgroup"

// Version2 says whether the machine has the unified hierarchy alone.
func Version2() (bool, error) {
	var stat unix.Statfs_t
	if err := unix.Statfs(mountPoint, &stat); err != nil {
		return false, fmt.Errorf("no cgroups are mounted at %s: %w", mountPoint, err)
	}
	return stat.Type == unix.CGROUP2_SUPER_MAGIC, nil
}

// Make makes the cgroup in every hierarchy, with all the controllers that the kubelet asks for.
func Make(name string) error {
	unified, err := Version2()
	if err != nil {
		return err
	}
	if unified {
		return makeUnified(mountPoint, name)
	}
	return makeEverywhere(mountPoint, name)
}

// makeEverywhere is for version 1: a new cpuset cgroup is empty, and nothing can run in it, until it is given processors and memory.
func makeEverywhere(root, name string) error {
	hierarchies, err := hierarchies(root)
	if err != nil {
		return err
	}
	for _, hierarchy := range hierarchies {
		group := filepath.Join(hierarchy, name)
		if err := os.MkdirAll(group, 0o755); err != nil {
			return fmt.Errorf("cannot make the cgroup %s (are you root?): %w", group, err)
		}
		for _, file := range []string{"cpuset.cpus", "cpuset.mems"} {
			value, err := os.ReadFile(filepath.Join(hierarchy, file))
			if errors.Is(err, fs.ErrNotExist) {
				continue // not the hierarchy of cpusets
			}
			if err == nil {
				err = os.WriteFile(filepath.Join(group, file), value, 0o644)
			}
			if err != nil {
				return fmt.Errorf("cannot give the cgroup %s its %s: %w", group, file, err)
			}
		}
	}
	return nil
}

// makeUnified is for version 2: a cgroup has a controller only if its parent hands it down.
func makeUnified(root, name string) error {
	available, err := os.ReadFile(filepath.Join(root, "cgroup.controllers"))
	if err != nil {
		return fmt.Errorf("cannot read the cgroup controllers of this machine: %w", err)
	}
	group := filepath.Join(root, name)
	if err := os.MkdirAll(group, 0o755); err != nil {
		return fmt.Errorf("cannot make the cgroup %s (are you root?): %w", group, err)
	}
	for _, controller := range strings.Fields(string(available)) {
		for _, parent := range []string{root, group} {
			// One at a time: a controller that cannot be handed down must not keep the others back. The kubelet says which it misses.
			_ = os.WriteFile(filepath.Join(parent, "cgroup.subtree_control"), []byte("+"+controller), 0o644)
		}
	}
	return nil
}

// Processes lists the processes in the cgroup and in all below it, in every hierarchy.
func Processes(name string) []int {
	seen := map[int]bool{}
	var pids []int
	walk(name, func(group string) {
		text, err := os.ReadFile(filepath.Join(group, "cgroup.procs"))
		if err != nil {
			return // gone since it was listed
		}
		for _, field := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil && pid > 0 && !seen[pid] {
				seen[pid] = true
				pids = append(pids, pid)
			}
		}
	})
	return pids
}

// Remove removes the cgroup with all below it. It must be empty of processes.
func Remove(name string) error {
	var problem error
	walk(name, func(group string) {
		if err := os.Remove(group); err != nil && !errors.Is(err, fs.ErrNotExist) {
			problem = fmt.Errorf("cannot remove the cgroup %s: %w", group, err)
		}
	})
	return problem
}

// Exists says whether any hierarchy has the cgroup.
func Exists(name string) bool {
	found := false
	walk(name, func(string) { found = true })
	return found
}

// walk visits the cgroup and all below it in every hierarchy, the deepest first.
func walk(name string, visit func(group string)) {
	roots := []string{mountPoint}
	if unified, err := Version2(); err == nil && !unified {
		if roots, err = hierarchies(mountPoint); err != nil {
			return
		}
	}
	for _, root := range roots {
		var groups []string
		_ = filepath.WalkDir(filepath.Join(root, name), func(path string, entry fs.DirEntry, err error) error {
			if err == nil && entry.IsDir() {
				groups = append(groups, path)
			}
			return nil // what cannot be read has gone
		})
		for i := len(groups) - 1; i >= 0; i-- {
			visit(groups[i])
		}
	}
}

func hierarchies(root string) ([]string, error) {
	entries, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("cannot list the cgroup hierarchies: %w", err)
	}
	var folders []string
	for _, entry := range entries {
		// Names such as "cpu" may be links to "cpu,cpuacct": one visit is enough.
		if entry.IsDir() {
			folders = append(folders, filepath.Join(root, entry.Name()))
		}
	}
	return folders, nil
}
