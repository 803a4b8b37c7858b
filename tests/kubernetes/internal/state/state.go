package state

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"dynamokv.dev/tests/kubernetes/internal/layout"
)

// Shape is what a person chooses about a cluster.
type Shape struct {
	Nodes    int  `json:"nodes"`
	Zones    bool `json:"zones"`
	DNSCache bool `json:"dnsCache"`
}

// Cluster is the record of a cluster that came up whole.
type Cluster struct {
	Shape   Shape          `json:"shape"`
	Port    int            `json:"port"`    // of the API server, on the host's loopback
	Stopped []int          `json:"stopped"` // nodes that were stopped on purpose
	Pods    map[int]string `json:"pods"`    // the pod network of each node
}

// Read gives the record; false if no cluster is up.
func Read(home layout.Home) (Cluster, bool, error) {
	text, err := os.ReadFile(home.State())
	if errors.Is(err, fs.ErrNotExist) {
		return Cluster{}, false, nil
	}
	if err != nil {
		return Cluster{}, false, fmt.Errorf("cannot read the state of the cluster: %w", err)
	}
	var cluster Cluster
	if err := json.Unmarshal(text, &cluster); err != nil {
		return Cluster{}, false, fmt.Errorf("%s is damaged; `kubebox down` removes it: %w", home.State(), err)
	}
	return cluster, true, nil
}

// Write replaces the record in one step, so that a reader sees the old one or the new one.
func Write(home layout.Home, cluster Cluster) error {
	text, err := json.MarshalIndent(cluster, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot encode the state of the cluster: %w", err)
	}
	path := home.State()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("cannot make the cluster's folder: %w", err)
	}
	if err := os.WriteFile(path+".new", append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("cannot write the state of the cluster: %w", err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		return fmt.Errorf("cannot write the state of the cluster: %w", err)
	}
	return nil
}

// IsStopped says whether a node was stopped on purpose.
func (c Cluster) IsStopped(index int) bool { return slices.Contains(c.Stopped, index) }

// String tells the shape to a person.
func (s Shape) String() string {
	text := fmt.Sprintf("%d node(s)", s.Nodes)
	if s.Zones {
		text += ", a zone each"
	}
	if s.DNSCache {
		text += ", DNS cached"
	}
	return text
}
