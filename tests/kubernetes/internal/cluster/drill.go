package cluster

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Drill lets the last node fail in each of the ways there are, and waits until the cluster has noticed and got over it.
func (h *Harness) Drill(ctx context.Context) error {
	cluster, err := h.current()
	if err != nil {
		return err
	}
	if cluster.Shape.Nodes < 2 {
		return errors.New("a node can only fail beside another: start a cluster of two or three")
	}
	name := h.home.Nodes(cluster.Shape.Nodes)[cluster.Shape.Nodes-1].Name()
	for _, pair := range [][2]Fault{{Partition, Heal}, {Stop, Start}} {
		if err := h.Do(ctx, pair[0], name); err != nil {
			return err
		}
		if err := h.expect(ctx, name, "Unknown"); err != nil {
			return err
		}
		if err := h.Do(ctx, pair[1], name); err != nil {
			return err
		}
		if err := h.expect(ctx, name, "True"); err != nil {
			return err
		}
	}
	return nil
}

// expect waits for the cluster's opinion on a node.
func (h *Harness) expect(ctx context.Context, name, ready string) error {
	limited, cancel := context.WithTimeoutCause(ctx, 3*time.Minute, errors.New("it took more than three minutes"))
	defer cancel()
	api, err := newAPI(h.home.Kubeconfig())
	if err != nil {
		return err
	}
	started := time.Now()
	err = h.registry.Wait(limited, fmt.Sprintf("%s to be Ready: %s", name, ready), nil, func(ctx context.Context) error {
		states, err := api.nodes(ctx)
		if err == nil && states[name] != ready {
			err = fmt.Errorf("it is %s", states[name])
		}
		return err
	})
	if err == nil {
		h.Say("%s is seen as Ready: %s (%.1f s)", name, ready, time.Since(started).Seconds())
	}
	return err
}
