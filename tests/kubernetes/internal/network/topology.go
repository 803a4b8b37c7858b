package network

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"

	"dynamokv.dev/tests/kubernetes/internal/layout"
	"dynamokv.dev/tests/kubernetes/internal/mount"
)

// AddSwitch makes the namespace of the control plane, with the bridge in it. If the folder of namespaces comes to be by this, the marker
// file does too.
func AddSwitch(marker string) error {
	const ns = layout.SwitchNamespace
	if _, err := os.Stat(Folder); errors.Is(err, os.ErrNotExist) {
		if err := os.WriteFile(marker, nil, 0o644); err != nil {
			return fmt.Errorf("cannot note that %s is new: %w", Folder, err)
		}
	}
	return first(
		func() error { return ip("netns add %s", ns) },
		func() error { return ip("-n %s link set lo up", ns) },
		func() error { return ip("-n %s link add %s type bridge", ns, layout.Bridge) },
		func() error { return ip("-n %s addr add %s/24 dev %s", ns, layout.ControlPlaneIP, layout.Bridge) },
		func() error { return ip("-n %s link set %s up", ns, layout.Bridge) },
		// It goes nowhere; components look for a default route to find their own address.
		func() error { return ip("-n %s route add default dev %s", ns, layout.Bridge) },
		func() error { return setSysctls(ns, map[string]string{"net.ipv4.ip_forward": "1"}) },
		func() error { return setBridgeFilter(ns, "0") },
	)
}

// AddNode makes the namespace of a node and plugs it into the switch.
func AddNode(node layout.Node) error {
	ns := node.Namespace()
	return first(
		func() error { return ip("netns add %s", ns) },
		func() error { return ip("-n %s link set lo up", ns) },
		func() error {
			return ip("-n %s link add eth0 type veth peer name %s netns %s", ns, node.Link(), layout.SwitchNamespace)
		},
		func() error { return ip("-n %s addr add %s/24 dev eth0", ns, node.IP()) },
		func() error { return ip("-n %s link set eth0 up", ns) },
		func() error {
			return ip("-n %s link set %s up master %s", layout.SwitchNamespace, node.Link(), layout.Bridge)
		},
		func() error { return ip("-n %s route add default via %s", ns, layout.ControlPlaneIP) },
		func() error {
			return setSysctls(ns, map[string]string{"net.ipv4.ip_forward": "1", "net.ipv4.conf.all.rp_filter": "0"})
		},
		// kube-proxy's rules must also see what goes from pod to pod through the node's own bridge.
		func() error { return setBridgeFilter(ns, "1") },
	)
}

// AddPodRoutes teaches the namespaces of the switch and of the other nodes where a node's pods are.
func AddPodRoutes(node layout.Node, pods string, others []layout.Node) error {
	namespaces := []string{layout.SwitchNamespace}
	for _, other := range others {
		if other.Index != node.Index {
			namespaces = append(namespaces, other.Namespace())
		}
	}
	for _, ns := range namespaces {
		if err := ip("-n %s route replace %s via %s", ns, pods, node.IP()); err != nil {
			return err
		}
	}
	return nil
}

// SetPlugged pulls the node's cable out of the switch, or puts it back: a partition that cuts the node off from all others.
func SetPlugged(node layout.Node, plugged bool) error {
	state := map[bool]string{true: "up", false: "down"}[plugged]
	return ip("-n %s link set %s %s", layout.SwitchNamespace, node.Link(), state)
}

// Plugged says whether the node's cable is in the switch.
func Plugged(node layout.Node) (bool, error) {
	output, err := exec.Command("ip", "-n", layout.SwitchNamespace, "-o", "link", "show", "dev", node.Link()).Output()
	if err != nil {
		return false, fmt.Errorf("cannot see the link of %s: %w", node.Name(), err)
	}
	return strings.Contains(linkFlags(string(output)), ",UP"), nil
}

// linkFlags cuts "<BROADCAST,MULTICAST,UP,LOWER_UP>" out of a line of `ip -o link`.
func linkFlags(line string) string {
	_, rest, _ := strings.Cut(line, "<")
	flags, _, _ := strings.Cut(rest, ">")
	return flags
}

// Remove removes every namespace of the harness, with all interfaces in them, and the folder of namespaces if the marker says that it
// was made for them and nobody else uses it by now.
func Remove(marker string) error {
	var problems []error
	for _, namespace := range layout.Namespaces() {
		if Exists(namespace) {
			problems = append(problems, ip("netns del %s", namespace))
		}
	}
	if err := errors.Join(problems...); err != nil {
		return err
	}
	if _, err := os.Stat(marker); err != nil {
		return nil
	}
	if entries, err := os.ReadDir(Folder); err != nil || len(entries) > 0 {
		return nil
	}
	if err := mount.Release(Folder); err != nil {
		return err
	}
	_ = os.Remove(Folder)
	return nil
}

// setBridgeFilter is separate, because the file exists only where the kernel has bridge netfilter; without it there is nothing to set.
func setBridgeFilter(namespace, value string) error {
	err := setSysctls(namespace, map[string]string{"net.bridge.bridge-nf-call-iptables": value})
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	return err
}

// first runs steps until one fails.
func first(steps ...func() error) error {
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	return nil
}

// RemoveNode removes the namespace of a node, and with it both ends of its cable.
func RemoveNode(node layout.Node) error {
	if !Exists(node.Namespace()) {
		return nil
	}
	// Explicitly: the namespace itself lives on while a connection of a killed process waits for its end.
	if err := ip("-n %s link del %s", layout.SwitchNamespace, node.Link()); err != nil && !strings.Contains(err.Error(), "Cannot find device") {
		return err
	}
	return ip("netns del %s", node.Namespace())
}
