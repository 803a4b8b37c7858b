package cluster

import (
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"dynamokv.dev/tests/kubernetes/internal/addons"
	"dynamokv.dev/tests/kubernetes/internal/check"
	"dynamokv.dev/tests/kubernetes/internal/controlplane"
	"dynamokv.dev/tests/kubernetes/internal/forward"
	"dynamokv.dev/tests/kubernetes/internal/layout"
	"dynamokv.dev/tests/kubernetes/internal/network"
	"dynamokv.dev/tests/kubernetes/internal/node"
	"dynamokv.dev/tests/kubernetes/internal/state"
)

// patience is how long a cluster may take to come up. A quiet machine needs a twentieth of it.
const patience = 5 * time.Minute

// Up brings a cluster of the given shape up, or does nothing if that is up and well. With anyShape, a cluster of any shape will do.
func (h *Harness) Up(ctx context.Context, shape state.Shape, anyShape bool) error {
	if shape.Nodes < 1 || shape.Nodes > layout.MaxNodes {
		return fmt.Errorf("a cluster has 1 to %d nodes, not %d", layout.MaxNodes, shape.Nodes)
	}
	tools, missing := check.Machine(string(h.home))
	if len(missing) > 0 {
		return fmt.Errorf("this machine cannot run a cluster yet:\n  %s", strings.Join(missing, "\n  "))
	}
	return h.locked(ctx, func() error {
		existing, up, err := state.Read(h.home)
		if err != nil {
			h.Say("%v", err)
		}
		if up && err == nil {
			problem := h.unwell(ctx, existing)
			if problem == nil {
				if existing.Shape != shape && !anyShape {
					return fmt.Errorf("a cluster of another shape is up (%s); take it down first", existing.Shape)
				}
				if err := h.recoverNodes(ctx, existing); err != nil {
					return err
				}
				h.Say("a cluster is up already: %s", existing.Shape)
				return nil
			}
			h.Say("a cluster is there, but not well (%v); starting anew", problem)
		}
		if other := state.Other(h.home); other != "" {
			return fmt.Errorf("the cluster of %s is up on this machine, and there is room for one; take it down there first: %s/kubebox down", other, other)
		}
		if err := h.clear(); err != nil {
			return fmt.Errorf("cannot clear away what an earlier run left: %w", err)
		}
		if err := state.Claim(h.home); err != nil {
			return err
		}
		limited, cancel := context.WithTimeoutCause(ctx, patience, fmt.Errorf("the cluster was not up after %s", patience))
		defer cancel()
		if err := h.bringUp(limited, shape, tools); err != nil {
			h.gatherFailure()
			if clearErr := h.clear(); clearErr != nil {
				h.Say("and then %v", clearErr)
			}
			return fmt.Errorf("the cluster did not come up: %w\nall logs are in %s", err, h.home.Failure())
		}
		return nil
	})
}

func (h *Harness) bringUp(ctx context.Context, shape state.Shape, tools check.Tools) error {
	nodes := h.home.Nodes(shape.Nodes)
	for _, stale := range []string{h.home.Logs(), h.home.Failure()} {
		if err := os.RemoveAll(stale); err != nil {
			return fmt.Errorf("cannot remove the logs of the cluster before: %w", err)
		}
	}

	var credentials *controlplane.Credentials
	var prepared errgroup.Group
	prepared.Go(func() (err error) { credentials, err = controlplane.NewCredentials(h.home, nodes); return err })
	prepared.Go(func() error { return h.wire(nodes) })
	prepared.Go(h.writeOwnImages)
	if err := prepared.Wait(); err != nil {
		return err
	}
	if err := os.WriteFile(h.home.ResolvConf(), []byte("nameserver 127.0.0.1\n"), 0o644); err != nil {
		return fmt.Errorf("cannot write the pods' resolv.conf: %w", err)
	}
	h.Say("network, keys and images are made")

	port, err := h.startForwarder()
	if err != nil {
		return err
	}
	if err := credentials.WriteAdmin(port); err != nil {
		return err
	}
	api, err := newAPI(h.home.Kubeconfig())
	if err != nil {
		return err
	}

	// The control plane and the containerds know nothing of each other, so they start side by side.
	together, shared := errgroup.WithContext(ctx)
	together.Go(func() error { return h.startControlPlane(shared, api) })
	for _, each := range nodes {
		together.Go(func() error { return h.startRuntime(shared, each, tools) })
	}
	if err := together.Wait(); err != nil {
		return err
	}
	return h.finishUp(ctx, shape, port, api)
}

// finishUp turns a running control plane and running containerds into a cluster.
func (h *Harness) finishUp(ctx context.Context, shape state.Shape, port int, api *api) error {
	nodes := h.home.Nodes(shape.Nodes)
	options := node.Options{Zones: shape.Zones}
	pods := make([]string, len(nodes))
	together, shared := errgroup.WithContext(ctx)
	together.Go(func() error {
		if err := h.apply(shared, addons.Storage); err != nil {
			return err
		}
		manifest, err := addons.DNS(min(2, len(nodes)), shape.DNSCache)
		if err != nil {
			return err
		}
		return h.apply(shared, manifest)
	})
	together.Go(h.startProvisioner)
	for i, each := range nodes {
		together.Go(func() (err error) {
			pods[i], err = h.joinNode(shared, api, each, nodes, options, time.Time{})
			return err
		})
	}
	if err := together.Wait(); err != nil {
		return err
	}
	h.Say("%d node(s) Ready", len(nodes))
	if err := h.registry.Wait(ctx, "the cluster's DNS", nil, api.deploymentAvailable("kube-system", "coredns")); err != nil {
		return err
	}
	h.Say("DNS and storage are ready")
	cluster := state.Cluster{Shape: shape, Port: port, Pods: map[int]string{}}
	for i, each := range nodes {
		cluster.Pods[each.Index] = pods[i]
	}
	if err := state.Write(h.home, cluster); err != nil {
		return err
	}
	h.Say("up: %s; KUBECONFIG=%s", shape, h.home.Kubeconfig())
	return nil
}

func (h *Harness) wire(nodes []layout.Node) error {
	if err := os.MkdirAll(h.home.Cluster(), 0o755); err != nil {
		return fmt.Errorf("cannot make the cluster's folder: %w", err)
	}
	if err := network.AddSwitch(h.home.MadeNamespaceFolder()); err != nil {
		return err
	}
	for _, each := range nodes {
		if err := network.AddNode(each); err != nil {
			return err
		}
	}
	return nil
}

// startForwarder makes the API server reachable at a port of the host's loopback.
func (h *Harness) startForwarder() (int, error) {
	port, listener, err := forward.Listen()
	if err != nil {
		return 0, err
	}
	defer func() { _ = listener.Close() }()
	// The home folder is named so that the process can be told for ours.
	arguments := []string{"forward", fmt.Sprintf("127.0.0.1:%d", layout.APIPort), string(h.home)}
	return port, h.start(forwarder, layout.SwitchNamespace, arguments, listener)
}

func (h *Harness) startProvisioner() error {
	return h.start(provisioner, layout.SwitchNamespace, []string{"provisioner", h.home.ComponentKubeconfig("admin"), h.home.Volumes()})
}

func (h *Harness) startControlPlane(ctx context.Context, api *api) error {
	start := func(name string) error {
		return h.start(name, layout.SwitchNamespace, append([]string{name}, controlplane.Args(name, h.home)...))
	}
	for _, name := range []string{controlplane.Etcd, controlplane.APIServer} {
		if err := start(name); err != nil {
			return err
		}
	}
	if err := h.registry.Wait(ctx, "the API server", []string{controlplane.Etcd, controlplane.APIServer, forwarder}, api.ready); err != nil {
		return err
	}
	h.Say("the API server is ready")
	for _, name := range []string{controlplane.ControllerManager, controlplane.Scheduler} {
		if err := start(name); err != nil {
			return err
		}
	}
	return nil
}
