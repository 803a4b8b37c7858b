package containerd

import (
	"os"
	"path/filepath"
	"slices"
	"strings"

	"dynamokv.dev/tests/kubernetes/internal/layout"
	"dynamokv.dev/tests/kubernetes/internal/process"
)

// IsShim says whether a process holds a container of this node. Shims outlive their containerd, so no record names them.
func IsShim(node layout.Node, pid int) bool { return isShim(process.CommandLine(pid), node.Socket()) }

func isShim(arguments []string, socket string) bool {
	if len(arguments) == 0 || !strings.HasPrefix(filepath.Base(arguments[0]), "containerd-shim") {
		return false
	}
	at := slices.Index(arguments, "-address")
	return at >= 0 && at+1 < len(arguments) && arguments[at+1] == socket
}

// RemoveShimSockets removes what killed shims leave outside the node's own folders: their sockets, in a folder all containerds share.
func RemoveShimSockets(node layout.Node) {
	files, _ := filepath.Glob(node.Path("containerd", "state", "io.containerd.runtime.v2.task", "*", "*", "address"))
	for _, file := range files {
		if text, err := os.ReadFile(file); err == nil {
			if path, isPath := strings.CutPrefix(strings.TrimSpace(string(text)), "unix:///run/containerd/s/"); isPath && filepath.Base(path) == path {
				_ = os.Remove(filepath.Join("/run/containerd/s", path))
			}
		}
	}
}

// RemoveNetworkResults removes what the CNI library remembers of the node's pods, in a folder that all its users on the machine share.
func RemoveNetworkResults(node layout.Node) {
	sandboxes, _ := filepath.Glob(node.Path("containerd", "root", "io.containerd.*cri*", "sandboxes", "*"))
	for _, sandbox := range sandboxes {
		results, _ := filepath.Glob("/var/lib/cni/results/*-" + filepath.Base(sandbox) + "-*")
		for _, result := range results {
			_ = os.Remove(result)
		}
	}
}
