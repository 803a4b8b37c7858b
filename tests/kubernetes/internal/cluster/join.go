package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"dynamokv.dev/tests/kubernetes/internal/cgroup"
	"dynamokv.dev/tests/kubernetes/internal/check"
	"dynamokv.dev/tests/kubernetes/internal/containerd"
	"dynamokv.dev/tests/kubernetes/internal/controlplane"
	"dynamokv.dev/tests/kubernetes/internal/layout"
	"dynamokv.dev/tests/kubernetes/internal/mount"
	"dynamokv.dev/tests/kubernetes/internal/network"
	"dynamokv.dev/tests/kubernetes/internal/node"
)

// startRuntime starts a node's containerd on the node's disk, and gives it all images that there are.
func (h *Harness) startRuntime(ctx context.Context, each layout.Node, tools check.Tools) error {
	if err := mount.Bind(each.Data(), each.Run()); err != nil {
		return err
	}
	if err := cgroup.Make(each.Cgroup()); err != nil {
		return err
	}
	if err := os.MkdirAll(each.Path("cni", "net.d"), 0o755); err != nil {
		return fmt.Errorf("cannot make a folder of %s: %w", each.Name(), err)
	}
	if err := containerd.WriteConfig(each, containerd.Tools{Runc: tools.Runc, CNI: tools.CNI}); err != nil {
		return err
	}
	name := each.Process(node.Containerd)
	if err := h.startProgram(name, each.Namespace(), containerd.Args(each)); err != nil {
		return err
	}
	err := h.registry.Wait(ctx, "containerd of "+each.Name(), []string{name}, func(ctx context.Context) error { return containerd.Answers(ctx, each) })
	if err != nil {
		return err
	}
	tars, err := h.imageTars()
	if err != nil {
		return err
	}
	for _, tar := range tars { // one by one: two imports into one containerd wait for each other in long steps
		if err := containerd.Import(ctx, each, tar); err != nil {
			return err
		}
	}
	return nil
}

// joinNode starts a node's agents and waits until the cluster counts on it, with a sign of life from after the given time. It gives the
// network of the node's pods.
func (h *Harness) joinNode(ctx context.Context, api *api, each layout.Node, all []layout.Node, options node.Options, since time.Time) (string, error) {
	if err := node.WriteKubeletConfig(h.home, each); err != nil {
		return "", err
	}
	commands := map[string][]string{
		node.Kubelet: node.KubeletArgs(h.home, each, options),
		node.Proxy:   node.ProxyArgs(h.home, each),
	}
	watched := []string{each.Process(node.Containerd), controlplane.APIServer, controlplane.ControllerManager}
	for component, arguments := range commands {
		if err := h.start(each.Process(component), each.Namespace(), append([]string{component}, arguments...)); err != nil {
			return "", err
		}
		watched = append(watched, each.Process(component))
	}
	var pods string
	err := h.registry.Wait(ctx, "the pod network of "+each.Name(), watched, func(ctx context.Context) (err error) {
		pods, err = api.podNetwork(ctx, each.Name())
		return err
	})
	if err != nil {
		return "", err
	}
	if err := node.WriteCNIConfig(each, pods); err != nil {
		return "", err
	}
	if err := network.AddPodRoutes(each, pods, present(all)); err != nil {
		return "", err
	}
	return pods, h.registry.Wait(ctx, each.Name()+" to be Ready", watched, api.nodeReady(each.Name(), since))
}

// present leaves out the nodes that are switched off: they have no network.
func present(nodes []layout.Node) []layout.Node {
	var on []layout.Node
	for _, each := range nodes {
		if network.Exists(each.Namespace()) {
			on = append(on, each)
		}
	}
	return on
}

var errNotYet = errors.New("not yet")
