package cluster

import (
	"context"
	"fmt"
	"io"
	"text/tabwriter"
	"time"

	"dynamokv.dev/tests/kubernetes/internal/network"
	"dynamokv.dev/tests/kubernetes/internal/state"
)

// unwell gives the first reason why the cluster is not as it should be.
func (h *Harness) unwell(ctx context.Context, cluster state.Cluster) error {
	for _, name := range h.expected(cluster) {
		if record, found := h.registry.Find(name); !found || !record.Alive() {
			return fmt.Errorf("%s does not run", name)
		}
	}
	api, err := newAPI(h.home.Kubeconfig())
	if err != nil {
		return err
	}
	brief, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	if err := api.ready(brief); err != nil {
		return fmt.Errorf("the API server is not ready: %w", err)
	}
	return nil
}

// Status tells how the cluster is. Its error is the first thing that is not as it should be.
func (h *Harness) Status(ctx context.Context, out io.Writer) error {
	cluster, err := h.current()
	if err != nil {
		return err
	}
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(table, "shape\t%s\nkubeconfig\t%s\nserver\thttps://127.0.0.1:%d\n", cluster.Shape, h.home.Kubeconfig(), cluster.Port)
	ready := map[string]string{}
	if api, err := newAPI(h.home.Kubeconfig()); err == nil {
		if states, err := api.nodes(ctx); err == nil {
			ready = states
		}
	}
	for _, each := range h.home.Nodes(cluster.Shape.Nodes) {
		word := "running"
		if cluster.IsStopped(each.Index) {
			word = "stopped"
		} else if plugged, err := network.Plugged(each); err == nil && !plugged {
			word = "partitioned"
		}
		answer := ready[each.Name()]
		if answer == "" {
			answer = "not known"
		}
		_, _ = fmt.Fprintf(table, "%s\t%s, Ready: %s, %s, pods %s\n", each.Name(), word, answer, each.IP(), cluster.Pods[each.Index])
	}
	if err := table.Flush(); err != nil {
		return fmt.Errorf("cannot write the status: %w", err)
	}
	return h.unwell(ctx, cluster)
}
