package cluster

import (
	"context"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"dynamokv.dev/tests/kubernetes/internal/check"
	"dynamokv.dev/tests/kubernetes/internal/containerd"
	"dynamokv.dev/tests/kubernetes/internal/layout"
	"dynamokv.dev/tests/kubernetes/internal/network"
	"dynamokv.dev/tests/kubernetes/internal/node"
	"dynamokv.dev/tests/kubernetes/internal/state"
)

// Fault is something that is done to a node.
type Fault string

// What can be done to a node.
const (
	Stop      Fault = "stop"      // the power fails: all processes die at once, nobody is told, only the disk stays
	Start     Fault = "start"     // the power is back: the node boots from its disk
	Partition Fault = "partition" // the cable is pulled: all processes go on, nobody is reached
	Heal      Fault = "heal"      // the cable is back
)

// Do does something to a node of the cluster.
func (h *Harness) Do(ctx context.Context, fault Fault, name string) error {
	return h.locked(ctx, func() error {
		cluster, err := h.current()
		if err != nil {
			return err
		}
		each, err := h.home.NodeByName(name, cluster.Shape.Nodes)
		if err != nil {
			return err
		}
		stopped := cluster.IsStopped(each.Index)
		switch {
		case fault == Start && !stopped:
			h.Say("%s runs already", each.Name())
			return nil
		case fault == Stop && stopped:
			h.Say("%s is stopped already", each.Name())
			return nil
		case fault == Start:
			return h.startNode(ctx, cluster, each)
		case stopped:
			return fmt.Errorf("%s is stopped; `kubebox node start %d` brings it back", each.Name(), each.Index)
		case fault == Stop:
			return h.stopNode(cluster, each)
		case fault == Partition || fault == Heal:
			if err := network.SetPlugged(each, fault == Heal); err != nil {
				return err
			}
			h.Say("%s is %s", each.Name(), map[Fault]string{Partition: "cut off from all others", Heal: "reachable again"}[fault])
			return nil
		default:
			return fmt.Errorf("a node cannot be told to %q; it knows stop, start, partition and heal", fault)
		}
	})
}

// recoverNodes undoes what was done to nodes: who asks for a cluster wants all of it, whatever a test that died left behind.
func (h *Harness) recoverNodes(ctx context.Context, cluster state.Cluster) error {
	for _, each := range h.home.Nodes(cluster.Shape.Nodes) {
		if cluster.IsStopped(each.Index) {
			h.Say("%s was left stopped", each.Name())
			if err := h.startNode(ctx, cluster, each); err != nil {
				return err
			}
			var err error
			if cluster, err = h.current(); err != nil { // the start changed it
				return err
			}
			continue
		}
		plugged, err := network.Plugged(each)
		if err != nil {
			return err
		}
		if !plugged {
			h.Say("%s was left partitioned", each.Name())
			if err := network.SetPlugged(each, true); err != nil {
				return err
			}
			if err := h.expect(ctx, each.Name(), "True"); err != nil {
				return err
			}
		}
	}
	return nil
}

// stopNode makes a node lose its power. It falls silent first: a machine that is off sends no farewell on its connections.
func (h *Harness) stopNode(cluster state.Cluster, each layout.Node) error {
	cluster.Stopped = append(cluster.Stopped, each.Index)
	if err := state.Write(h.home, cluster); err != nil { // first, so that a half-stopped node is known to be stopped
		return err
	}
	if err := network.SetPlugged(each, false); err != nil {
		return err
	}
	for _, component := range []string{node.Kubelet, node.Containerd, node.Proxy} {
		if err := h.registry.Kill(each.Process(component)); err != nil {
			return err
		}
	}
	if err := killPods(each); err != nil {
		return err
	}
	containerd.RemoveShimSockets(each)
	if err := release(each.Run()); err != nil {
		return err
	}
	if err := removeCgroup(each); err != nil {
		return err
	}
	if err := network.RemoveNode(each); err != nil {
		return err
	}
	h.Say("%s is off", each.Name())
	return nil
}

// startNode boots a node from its disk.
func (h *Harness) startNode(ctx context.Context, cluster state.Cluster, each layout.Node) error {
	tools, missing := check.Machine(string(h.home))
	if len(missing) > 0 {
		return fmt.Errorf("this machine cannot run a node any more:\n  %s", strings.Join(missing, "\n  "))
	}
	// What a machine keeps in memory is not there after a boot.
	for _, volatile := range []string{"containerd/state", "runc", "containerd.sock", "containerd.sock.ttrpc"} {
		if err := os.RemoveAll(each.Data() + "/" + volatile); err != nil {
			return fmt.Errorf("cannot remove what %s had in memory: %w", each.Name(), err)
		}
	}
	limited, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("%s was not up after %s", each.Name(), patience))
	defer cancel()
	// A start that failed halfway left parts of the network.
	if err := network.RemoveNode(each); err != nil {
		return err
	}
	if err := network.AddNode(each); err != nil {
		return err
	}
	nodes := h.home.Nodes(cluster.Shape.Nodes)
	for _, other := range nodes {
		if other.Index != each.Index {
			if err := network.AddPodRoutes(other, cluster.Pods[other.Index], []layout.Node{each}); err != nil {
				return err
			}
		}
	}
	if err := h.startRuntime(limited, each, tools); err != nil {
		return err
	}
	api, err := newAPI(h.home.Kubeconfig())
	if err != nil {
		return err
	}
	cluster.Stopped = slices.DeleteFunc(cluster.Stopped, func(index int) bool { return index == each.Index })
	if err := state.Write(h.home, cluster); err != nil {
		return err
	}
	if _, err := h.joinNode(limited, api, each, nodes, node.Options{Zones: cluster.Shape.Zones}, time.Now()); err != nil {
		return err
	}
	h.Say("%s is back and Ready", each.Name())
	return nil
}
