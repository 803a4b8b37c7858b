package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"dynamokv.dev/tests/kubernetes/internal/cgroup"
	"dynamokv.dev/tests/kubernetes/internal/containerd"
	"dynamokv.dev/tests/kubernetes/internal/layout"
	"dynamokv.dev/tests/kubernetes/internal/mount"
	"dynamokv.dev/tests/kubernetes/internal/network"
	"dynamokv.dev/tests/kubernetes/internal/process"
	"dynamokv.dev/tests/kubernetes/internal/state"
)

// Down takes the cluster of this home folder down, whole or in part as it may be, and leaves the machine as it was. Logs and loaded
// images stay in the home folder.
func (h *Harness) Down(ctx context.Context) error {
	return h.locked(ctx, func() error {
		if other := state.Other(h.home); other != "" {
			h.Say("no cluster of this checkout is up; the one on this machine belongs to %s and is left alone", other)
			return nil
		}
		if state.Owner() == "" && !exists(h.home.Cluster()) && !slices.ContainsFunc(layout.Namespaces(), network.Exists) {
			h.Say("no cluster is up")
			return os.RemoveAll(layout.RunDir)
		}
		if err := h.clear(); err != nil {
			return err
		}
		h.Say("down")
		return os.RemoveAll(layout.RunDir)
	})
}

// clear removes all that a cluster of this home folder consists of. Nothing is ended gently: its data goes too.
func (h *Harness) clear() error {
	nodes := h.home.Nodes(layout.MaxNodes)
	if err := h.killAll(nodes); err != nil {
		return err
	}
	for _, each := range nodes {
		containerd.RemoveShimSockets(each)
		containerd.RemoveNetworkResults(each)
	}
	removeSharedTraces()
	for _, folder := range []string{layout.RunDir, h.home.Cluster()} {
		if err := release(folder); err != nil {
			return err
		}
	}
	for _, each := range nodes {
		if err := removeCgroup(each); err != nil {
			return err
		}
		if err := os.RemoveAll(each.Run()); err != nil {
			return fmt.Errorf("cannot remove %s: %w", each.Run(), err)
		}
	}
	if err := network.Remove(h.home.MadeNamespaceFolder()); err != nil {
		return err
	}
	for _, path := range []string{h.home.Cluster(), h.home.Kubeconfig()} {
		if err := os.RemoveAll(path); err != nil {
			return fmt.Errorf("cannot remove %s: %w", path, err)
		}
	}
	state.Disclaim()
	return nil
}

// killAll ends the recorded processes first, since they would start others, and then whatever they left behind.
func (h *Harness) killAll(nodes []layout.Node) error {
	records, err := h.registry.All()
	if err != nil {
		return err
	}
	for _, record := range records {
		if err := h.registry.Kill(record.Name); err != nil {
			return err
		}
	}
	strays, err := h.strays()
	if err != nil {
		return err
	}
	if err := process.KillMatching(strays, h.names); err != nil {
		return err
	}
	for _, each := range nodes {
		if err := killPods(each); err != nil {
			return err
		}
	}
	return nil
}

// killPods ends the containers of a node: first the shims, which would report to a containerd, then what runs in the node's cgroup.
func killPods(each layout.Node) error {
	pids, err := process.PIDs()
	if err != nil {
		return err
	}
	isShim := func(pid int) bool { return containerd.IsShim(each, pid) }
	if err := process.KillMatching(slices.DeleteFunc(pids, func(pid int) bool { return !isShim(pid) }), isShim); err != nil {
		return err
	}
	for range 50 { // a process that is being started can slip through one round
		members := cgroup.Processes(each.Cgroup())
		if len(members) == 0 {
			return nil
		}
		isMember := func(pid int) bool { return slices.Contains(cgroup.Processes(each.Cgroup()), pid) }
		if err := process.KillMatching(members, isMember); err != nil {
			return err
		}
	}
	return fmt.Errorf("processes keep appearing in the cgroup %s", each.Cgroup())
}

// strays finds processes that a died run started but did not get to record: they are in one of the cluster's network namespaces, and
// their command line names one of its folders. A shell that somebody opened in a namespace does not.
func (h *Harness) strays() ([]int, error) {
	identities := map[string]bool{}
	for _, namespace := range layout.Namespaces() {
		if network.Exists(namespace) {
			identity, err := network.Identity(namespace)
			if err != nil {
				continue // a file without a namespace behind it, from a run that died while making it
			}
			identities[identity] = true
		}
	}
	pids, err := process.PIDs()
	if err != nil {
		return nil, err
	}
	return slices.DeleteFunc(pids, func(pid int) bool { return !identities[process.Network(pid)] || !h.names(pid) }), nil
}

// names says whether a process's command line names a folder of this cluster, or of the one whose remains are being cleared away.
func (h *Harness) names(pid int) bool {
	owner := string(state.Owner())
	return slices.ContainsFunc(process.CommandLine(pid), func(argument string) bool {
		return strings.Contains(argument, string(h.home)) || owner != "" && strings.Contains(argument, owner) || strings.Contains(argument, layout.RunDir+"/")
	})
}

// release unmounts all below a folder, and makes sure of it: what is removed next must not be somebody's mounted data.
func release(folder string) error {
	if err := mount.Release(folder); err != nil {
		return err
	}
	left, err := mount.Below(folder)
	if err == nil && len(left) > 0 {
		err = fmt.Errorf("%s cannot be unmounted", strings.Join(left, ", "))
	}
	return err
}

// removeCgroup tries for a while: a cgroup is busy until the kernel has done with the last process that was killed in it.
func removeCgroup(each layout.Node) error {
	var err error
	for range 100 {
		if err = cgroup.Remove(each.Cgroup()); err == nil {
			return nil
		}
		time.Sleep(50 * time.Millisecond)
	}
	return err
}

// removeSharedTraces removes what kubelets leave in a folder that all on the machine share, and such folders if nothing is left in them.
func removeSharedTraces() {
	links, _ := filepath.Glob("/var/log/containers/*.log")
	for _, link := range links {
		if target, err := os.Readlink(link); err == nil && strings.HasPrefix(target, layout.RunDir+"/") {
			_ = os.Remove(link)
		}
	}
	for _, folder := range []string{"/var/log/containers", "/var/lib/cni/results", "/var/lib/cni", "/run/containerd/s", "/run/containerd"} {
		_ = os.Remove(folder) // goes only if it is empty
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return !errors.Is(err, os.ErrNotExist)
}
