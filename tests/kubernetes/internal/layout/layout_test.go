package layout

import (
	"strings"
	"testing"
)

func TestSocketPathsFitWhereverTheCheckoutLies(t *testing.T) {
	deep := Home("/" + strings.Repeat("a-very-deep-folder/", 20))
	const limit = 107 // sizeof(sockaddr_un.sun_path) - 1
	for _, node := range deep.Nodes(MaxNodes) {
		for _, socket := range []string{node.Socket() + ".ttrpc", node.Path("kubelet", "plugins_registry", strings.Repeat("p", 50)+".sock")} {
			if len(socket) > limit {
				t.Errorf("the socket %s has %d bytes; %d are allowed", socket, len(socket), limit)
			}
		}
	}
}

func TestNodeByName(t *testing.T) {
	home := Home("/h")
	for _, name := range []string{"2", "node2"} {
		node, err := home.NodeByName(name, 3)
		if err != nil || node.Index != 2 {
			t.Errorf("NodeByName(%q) = %v, %v", name, node, err)
		}
	}
	for _, name := range []string{"", "0", "4", "node", "x", "-1"} {
		if _, err := home.NodeByName(name, 3); err == nil {
			t.Errorf("NodeByName(%q) found a node", name)
		}
	}
}

func TestNodesDoNotShareAnything(t *testing.T) {
	seen := map[string]bool{}
	for _, node := range Home("/h").Nodes(MaxNodes) {
		for _, name := range []string{node.Name(), node.Namespace(), node.Cgroup(), node.Link(), node.IP(), node.Zone(), node.Data(), node.Run()} {
			if seen[name] {
				t.Errorf("two things are called %s", name)
			}
			seen[name] = true
		}
	}
}
