// Package check says what this machine lacks to run a cluster.
package check

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"

	"dynamokv.dev/tests/kubernetes/internal/cgroup"
)

// Tools says where the programs are that others start by their path.
type Tools struct {
	Runc string
	CNI  string // folder of the plugins
}

// program is something that must be installed, with Debian's package for it.
type program struct{ name, use, debian string }

var programs = []program{
	{"containerd", "runs the containers of each node", "containerd"},
	{"ctr", "loads images into containerd", "containerd"},
	{"containerd-shim-runc-v2", "holds each container", "containerd"},
	{"runc", "starts each container", "runc"},
	{"iptables", "carries the rules of kube-proxy", "iptables"},
	{"conntrack", "lets kube-proxy forget connections", "conntrack"},
	{"ip", "makes the network of the nodes", "iproute2"},
	{"nsenter", "looks into the network of a node", "util-linux"},
	{"mount", "lets the kubelet mount volumes", "mount"},
}

var (
	pluginFolders = []string{"/usr/lib/cni", "/opt/cni/bin", "/usr/libexec/cni"}
	plugins       = []string{"bridge", "host-local", "loopback", "portmap"}
)

// Machine looks at the machine and gives the tools, and a sentence for each thing that is missing.
func Machine(home string) (Tools, []string) {
	if runtime.GOOS != "linux" {
		return Tools{}, []string{"This is " + runtime.GOOS + "; the embedded cluster needs Linux. Use kind or another cluster here."}
	}
	var missing []string
	if os.Geteuid() != 0 {
		missing = append(missing, "You are not root, and network namespaces, mounts and cgroups need root: run it with sudo.")
	}
	// The tools of an administrator are not on everybody's path.
	path := os.Getenv("PATH") + ":/usr/local/sbin:/usr/sbin:/sbin"
	_ = os.Setenv("PATH", path)
	for _, program := range programs {
		if _, err := exec.LookPath(program.name); err != nil {
			missing = append(missing, fmt.Sprintf("%s is missing, which %s: apt-get install --no-install-recommends %s", program.name, program.use, program.debian))
		}
	}
	var tools Tools
	tools.Runc, _ = exec.LookPath("runc")
	if tools.CNI = findPlugins(pluginFolders); tools.CNI == "" {
		missing = append(missing, "The CNI plugins are missing, which join pods to the network: apt-get install --no-install-recommends containernetworking-plugins")
	}
	if _, err := cgroup.Version2(); err != nil {
		missing = append(missing, fmt.Sprintf("Pods need cgroups: %v.", err))
	}
	if onOverlay(home) {
		missing = append(missing, fmt.Sprintf("%s lies on an overlay file system, on which containerd cannot stack its own: set KUBEBOX_HOME to a folder of another one.", home))
	}
	return tools, missing
}

func findPlugins(folders []string) string {
	for _, folder := range folders {
		complete := true
		for _, plugin := range plugins {
			if _, err := os.Stat(filepath.Join(folder, plugin)); err != nil {
				complete = false
			}
		}
		if complete {
			return folder
		}
	}
	return ""
}

// onOverlay looks at the folder, or the nearest one above it that exists.
func onOverlay(folder string) bool {
	for {
		var stat unix.Statfs_t
		if err := unix.Statfs(folder, &stat); err == nil {
			return stat.Type == unix.OVERLAYFS_SUPER_MAGIC
		}
		if folder == filepath.Dir(folder) {
			return false
		}
		folder = filepath.Dir(folder)
	}
}
