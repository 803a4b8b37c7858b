package containerd

import (
	"strings"
	"testing"

	"dynamokv.dev/tests/kubernetes/internal/layout"
)

func TestMajorVersion(t *testing.T) {
	for output, want := range map[string]int{
		"containerd github.com/containerd/containerd 1.6.20~ds1 1.6.20~ds1-1+deb12u3": 1,
		"containerd github.com/containerd/containerd/v2 v2.4.2 abc":                   2,
	} {
		if got, err := majorVersion(output); err != nil || got != want {
			t.Errorf("majorVersion(%q) = %d, %v", output, got, err)
		}
	}
	if _, err := majorVersion("nothing"); err == nil {
		t.Error("majorVersion found a version in nothing")
	}
}

func TestConfigIsOfTheNode(t *testing.T) {
	node := layout.Home("/home").Nodes(2)[1]
	for major, version := range map[int]string{1: "version = 2", 2: "version = 3"} {
		text, err := render(major, node, Tools{Runc: "/sbin/runc", CNI: "/cni"})
		if err != nil {
			t.Fatal(err)
		}
		for _, want := range []string{version, `address = "` + node.Socket() + `"`, `"/sbin/runc"`, layout.PauseImage} {
			if !strings.Contains(string(text), want) {
				t.Errorf("the configuration for containerd %d lacks %s", major, want)
			}
		}
	}
}

func TestIsShimKnowsOnlyTheNodesOwn(t *testing.T) {
	const socket = "/run/kubebox/kbx-n1/containerd.sock"
	for line, want := range map[string]bool{
		"/usr/bin/containerd-shim-runc-v2 -namespace k8s.io -id x -address " + socket:                     true,
		"/usr/bin/containerd-shim-runc-v2 -namespace moby -id x -address /run/containerd/containerd.sock": false,
		"/usr/bin/containerd-shim-runc-v2 -address":                                                       false,
		"grep -address " + socket: false,
	} {
		if isShim(strings.Fields(line), socket) != want {
			t.Errorf("isShim(%s) is not %v", line, want)
		}
	}
	if isShim(nil, socket) {
		t.Error("a process without a command line is a shim")
	}
}
