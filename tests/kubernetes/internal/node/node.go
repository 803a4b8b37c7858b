// Package node gives the configuration and the command lines of what runs on a node. It starts nothing.
package node

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"

	"dynamokv.dev/tests/kubernetes/internal/layout"
)

// Names of the programs of a node.
const (
	Kubelet    = "kubelet"
	Proxy      = "kube-proxy"
	Containerd = "containerd"
)

// Options vary from cluster to cluster.
type Options struct {
	Zones bool // label each node with a zone of its own
}

// KubeletArgs gives the kubelet's arguments.
func KubeletArgs(home layout.Home, node layout.Node, options Options) []string {
	arguments := []string{
		"--config=" + node.Path("kubelet.json"),
		"--kubeconfig=" + home.ComponentKubeconfig(node.Name()),
		"--hostname-override=" + node.Name(),
		"--node-ip=" + node.IP(),
		"--root-dir=" + node.Path("kubelet"),
		"--cert-dir=" + node.Path("kubelet-certificates"),
	}
	if options.Zones {
		arguments = append(arguments, "--node-labels=topology.kubernetes.io/region=kubebox,topology.kubernetes.io/zone="+node.Zone())
	}
	return arguments
}

// ProxyArgs gives kube-proxy's arguments. The settings of conntrack belong to the machine, so they stay as they are.
func ProxyArgs(home layout.Home, node layout.Node) []string {
	return []string{
		"--kubeconfig=" + home.ComponentKubeconfig(Proxy),
		"--hostname-override=" + node.Name(),
		"--proxy-mode=iptables",
		"--cluster-cidr=" + layout.PodNetwork,
		"--conntrack-max-per-core=0", "--conntrack-tcp-timeout-established=0", "--conntrack-tcp-timeout-close-wait=0",
	}
}

// WriteKubeletConfig writes the kubelet's configuration file.
func WriteKubeletConfig(home layout.Home, node layout.Node) error {
	return writeJSON(node.Path("kubelet.json"), kubeletConfig(home, node))
}

func kubeletConfig(home layout.Home, node layout.Node) any {
	type object = map[string]any
	pki := func(name string) string { return filepath.Join(home.PKI(), name) }
	return object{
		"apiVersion": "kubelet.config.k8s.io/v1beta1",
		"kind":       "KubeletConfiguration",
		"authentication": object{
			"anonymous": object{"enabled": false},
			"webhook":   object{"enabled": true},
			"x509":      object{"clientCAFile": pki("ca.crt")},
		},
		"authorization":     object{"mode": "Webhook"},
		"tlsCertFile":       pki("kubelet-" + node.Name() + ".crt"),
		"tlsPrivateKeyFile": pki("kubelet-" + node.Name() + ".key"),
		"cgroupDriver":      "cgroupfs",
		"cgroupRoot":        node.Cgroup(),
		"failCgroupV1":      false,
		"clusterDomain":     layout.ClusterDomain,
		"clusterDNS":        []string{layout.DNSIP},
		"resolvConf":        home.ResolvConf(),
		"failSwapOn":        false,
		// All nodes share one disk with the rest of the machine: its filling up must not evict pods, nor collect images that no registry has.
		"evictionHard":                object{"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
		"imageGCHighThresholdPercent": 100,
		"imageGCLowThresholdPercent":  99,
		"nodeStatusUpdateFrequency":   "5s",
		"syncFrequency":               "10s",
		"podLogsDir":                  node.Path("pods"),
		"volumePluginDir":             node.Path("volume-plugins"),
		"containerRuntimeEndpoint":    "unix://" + node.Socket(),
	}
}

// WriteCNIConfig writes how the node's pods are joined to its network. Until it is there, the node is not Ready.
func WriteCNIConfig(node layout.Node, pods string) error {
	type object = map[string]any
	return writeJSON(node.Path("cni", "net.d", "10-pods.conflist"), object{
		"cniVersion": "0.4.0",
		"name":       "kubebox-pods",
		"plugins": []object{
			{
				"type": "bridge", "bridge": "cni0", "isGateway": true, "ipMasq": false, "hairpinMode": true,
				"ipam": object{
					"type": "host-local", "dataDir": node.Path("cni", "addresses"),
					"ranges": [][]object{{{"subnet": pods}}},
					"routes": []object{{"dst": "0.0.0.0/0"}},
				},
			},
			{"type": "portmap", "capabilities": object{"portMappings": true}},
		},
	})
}

func writeJSON(path string, value any) error {
	text, err := json.MarshalIndent(value, "", "  ")
	if err != nil {
		return fmt.Errorf("cannot encode %s: %w", path, err)
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return fmt.Errorf("cannot make the folder of %s: %w", path, err)
	}
	if err := os.WriteFile(path, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("cannot write %s: %w", path, err)
	}
	return nil
}
