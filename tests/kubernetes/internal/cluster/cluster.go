// Package cluster brings a Kubernetes cluster up and down on this machine, and makes its nodes fail.
package cluster

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"dynamokv.dev/tests/kubernetes/internal/controlplane"
	"dynamokv.dev/tests/kubernetes/internal/layout"
	"dynamokv.dev/tests/kubernetes/internal/node"
	"dynamokv.dev/tests/kubernetes/internal/process"
	"dynamokv.dev/tests/kubernetes/internal/state"
)

// Names of the processes that belong to the cluster as a whole, beside those of the control plane.
const (
	forwarder   = "forward"
	provisioner = "provisioner"
)

// ErrNotUp is what every verb says that needs a cluster.
var ErrNotUp = errors.New("no cluster of this checkout is up; `kubebox up` starts one")

// Harness acts on the cluster of one home folder.
type Harness struct {
	home     layout.Home
	program  string // the kubebox binary, which is also every component
	registry process.Registry
	started  time.Time
}

// Open prepares a harness. The home folder is that of the binary, unless KUBEBOX_HOME names another.
func Open() (*Harness, error) {
	program, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("cannot tell where kubebox itself lies: %w", err)
	}
	folder := os.Getenv("KUBEBOX_HOME")
	if folder == "" {
		folder = filepath.Dir(program)
	}
	if folder, err = filepath.Abs(folder); err != nil {
		return nil, fmt.Errorf("cannot make an absolute path of KUBEBOX_HOME: %w", err)
	}
	home := layout.Home(folder)
	return &Harness{home: home, program: program, registry: process.NewRegistry(home.Processes()), started: time.Now()}, nil
}

// Home gives the folder that the harness works in.
func (h *Harness) Home() layout.Home { return h.home }

// Say tells a person what is being done, with the time since the start. It goes to the standard error, since answers go to the output.
func (h *Harness) Say(format string, values ...any) {
	fmt.Fprintf(os.Stderr, "[%6.1fs] %s\n", time.Since(h.started).Seconds(), fmt.Sprintf(format, values...))
}

// locked runs an action while nobody else changes a cluster on this machine.
func (h *Harness) locked(ctx context.Context, action func() error) error {
	lock, err := state.Acquire(ctx, h.Say)
	if err != nil {
		return err
	}
	defer lock.Release()
	return action()
}

// current gives the record of the cluster, which must be up.
func (h *Harness) current() (state.Cluster, error) {
	cluster, up, err := state.Read(h.home)
	if err == nil && !up {
		err = ErrNotUp
	}
	return cluster, err
}

// RequireUp says whether there is a cluster to talk to.
func (h *Harness) RequireUp() error {
	_, err := h.current()
	return err
}

// runningNodes gives the nodes that were not stopped on purpose.
func (h *Harness) runningNodes(cluster state.Cluster) []layout.Node {
	var running []layout.Node
	for _, candidate := range h.home.Nodes(cluster.Shape.Nodes) {
		if !cluster.IsStopped(candidate.Index) {
			running = append(running, candidate)
		}
	}
	return running
}

// expected names every process that should run.
func (h *Harness) expected(cluster state.Cluster) []string {
	names := append(controlplane.Names(), forwarder, provisioner)
	for _, running := range h.runningNodes(cluster) {
		for _, component := range []string{node.Containerd, node.Kubelet, node.Proxy} {
			names = append(names, running.Process(component))
		}
	}
	return names
}

// start starts one of the binary's own components or verbs.
func (h *Harness) start(name, namespace string, arguments []string, files ...*os.File) error {
	return h.startProgram(name, namespace, append([]string{h.program}, arguments...), files...)
}

func (h *Harness) startProgram(name, namespace string, arguments []string, files ...*os.File) error {
	return h.registry.Start(process.Spec{
		Name: name, Namespace: namespace, Args: arguments, Files: files,
		Log: filepath.Join(h.home.Logs(), name+".log"),
	})
}
