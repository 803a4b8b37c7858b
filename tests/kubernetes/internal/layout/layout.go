// Package layout fixes every name, address and path of a cluster, so that no two places can disagree on one. It does no I/O.
package layout

import (
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
)

// Names and addresses. They are fixed, so there is one cluster a machine; the prefix "kbx-" keeps them apart from everybody else's.
const (
	SwitchNamespace = "kbx-sw" // holds the bridge that joins the nodes, and the control plane
	Bridge          = "br0"
	ControlPlaneIP  = "10.250.0.254"
	NodeNetwork     = "10.250.0.0/24"
	PodNetwork      = "10.244.0.0/16"
	ServiceNetwork  = "10.96.0.0/16"
	ServiceIP       = "10.96.0.1" // the Service "kubernetes"
	DNSIP           = "10.96.0.10"
	ClusterDomain   = "cluster.local"
	APIPort         = 6443
	MaxNodes        = 3

	// RunDir is short on purpose: a Unix socket's path may have 107 bytes, and a checkout can lie deep.
	RunDir = "/run/kubebox"

	PauseImage = "kubebox.local/pause:1"
	DNSImage   = "kubebox.local/coredns:1"
	ProbeImage = "kubebox.local/probe:1"
)

// Home is the folder that holds all that clusters of one checkout leave on disk.
type Home string

// Cluster holds what lives and dies with one cluster; `down` removes it as a whole.
func (h Home) Cluster() string { return h.join("cluster") }

// State is the record of the running cluster.
func (h Home) State() string { return h.join("cluster", "state.json") }

// Processes holds one record for each process that was started.
func (h Home) Processes() string { return h.join("cluster", "processes") }

// PKI holds certificates and keys.
func (h Home) PKI() string { return h.join("cluster", "pki") }

// Etcd is etcd's data folder.
func (h Home) Etcd() string { return h.join("cluster", "etcd") }

// Volumes holds the data of persistent volumes: a folder each.
func (h Home) Volumes() string { return h.join("cluster", "volumes") }

// ResolvConf is what pods with dnsPolicy Default are given; it names no server, since there is nothing to ask outside.
func (h Home) ResolvConf() string { return h.join("cluster", "resolv.conf") }

// MadeNamespaceFolder marks that the folder of network namespaces did not exist before the cluster.
func (h Home) MadeNamespaceFolder() string { return h.join("cluster", "made-namespace-folder") }

// Kubeconfig is the administrator's, for use from the host.
func (h Home) Kubeconfig() string { return h.join("kubeconfig") }

// ComponentKubeconfig is the one of a component, for use inside the cluster's namespaces.
func (h Home) ComponentKubeconfig(name string) string {
	return h.join("cluster", "pki", name+".kubeconfig")
}

// Logs holds one file for each process. It outlives the cluster, until the next one comes up.
func (h Home) Logs() string { return h.join("logs") }

// Failure is where a failed `up` gathers all there is to see.
func (h Home) Failure() string { return h.join("failure") }

// LoadedImages holds a copy of every image that was loaded, for nodes that start later.
func (h Home) LoadedImages() string { return h.join("loaded") }

// OwnImages holds the images of the harness itself.
func (h Home) OwnImages() string { return h.join("images") }

// ToolState holds the caches of kubectl and helm, which would otherwise land in the user's home folder.
func (h Home) ToolState() string { return h.join("tools") }

func (h Home) join(parts ...string) string {
	return filepath.Join(append([]string{string(h)}, parts...)...)
}

// Node is one machine of the cluster, counted from 1.
type Node struct {
	Index int
	home  Home
}

// Nodes gives the first count nodes.
func (h Home) Nodes(count int) []Node {
	nodes := make([]Node, count)
	for i := range nodes {
		nodes[i] = Node{Index: i + 1, home: h}
	}
	return nodes
}

// Name is the Kubernetes name of the node.
func (n Node) Name() string { return "node" + strconv.Itoa(n.Index) }

// Namespace is the node's network namespace.
func (n Node) Namespace() string { return fmt.Sprintf("kbx-n%d", n.Index) }

// Cgroup is the root of the node's cgroups. A kubelet ends every pod cgroup below its root that it does not know, so each needs its own.
func (n Node) Cgroup() string { return "/" + n.Namespace() }

// Link is the switch's end of the cable to the node.
func (n Node) Link() string { return fmt.Sprintf("n%d", n.Index) }

// IP is the node's address.
func (n Node) IP() string { return fmt.Sprintf("10.250.0.%d", n.Index) }

// Zone is the node's topology zone: a, b, c.
func (n Node) Zone() string { return string(rune('a' + n.Index - 1)) }

// Data is the node's disk.
func (n Node) Data() string { return n.home.join("cluster", n.Name()) }

// Run is where the node's disk is mounted, at a short path for the sake of the sockets on it.
func (n Node) Run() string { return filepath.Join(RunDir, n.Namespace()) }

// Socket is where the node's containerd listens.
func (n Node) Socket() string { return filepath.Join(n.Run(), "containerd.sock") }

// Path gives a path on the node's disk.
func (n Node) Path(parts ...string) string {
	return filepath.Join(append([]string{n.Run()}, parts...)...)
}

// Process names one of the node's processes: "kubelet" of node 2 is "kubelet-2".
func (n Node) Process(component string) string { return fmt.Sprintf("%s-%d", component, n.Index) }

// NodeByName accepts what a person may write: "2" or "node2".
func (h Home) NodeByName(name string, count int) (Node, error) {
	index, err := strconv.Atoi(strings.TrimPrefix(name, "node"))
	if err != nil || index < 1 || index > count {
		return Node{}, fmt.Errorf("there is no node %q: the cluster has the nodes 1 to %d", name, count)
	}
	return Node{Index: index, home: h}, nil
}

// Namespaces lists every network namespace that a cluster of any size can have.
func Namespaces() []string {
	names := []string{SwitchNamespace}
	for _, node := range Home("").Nodes(MaxNodes) {
		names = append(names, node.Namespace())
	}
	return names
}
