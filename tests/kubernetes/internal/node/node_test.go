package node

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	kubelet "k8s.io/kubelet/config/v1beta1"

	"dynamokv.dev/tests/kubernetes/internal/layout"
)

func TestTheKubeletKnowsEveryFieldOfItsConfiguration(t *testing.T) {
	each := layout.Home("/h").Nodes(1)[0]
	path := filepath.Join(t.TempDir(), "kubelet.json")
	if err := writeJSON(path, kubeletConfig("/h", each)); err != nil {
		t.Fatal(err)
	}
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = file.Close() }()
	decoder := json.NewDecoder(file)
	decoder.DisallowUnknownFields() // as the kubelet does
	var config kubelet.KubeletConfiguration
	if err := decoder.Decode(&config); err != nil {
		t.Fatal(err)
	}
	if config.CgroupRoot != each.Cgroup() || config.ContainerRuntimeEndpoint != "unix://"+each.Socket() {
		t.Errorf("the kubelet would share a cgroup or a containerd: %s, %s", config.CgroupRoot, config.ContainerRuntimeEndpoint)
	}
}

func TestZonesAreAChoice(t *testing.T) {
	each := layout.Home("/h").Nodes(2)[1]
	hasZone := func(zones bool) bool {
		return slices.ContainsFunc(KubeletArgs("/h", each, Options{Zones: zones}), func(argument string) bool {
			return strings.HasSuffix(argument, "topology.kubernetes.io/zone=b")
		})
	}
	if !hasZone(true) || hasZone(false) {
		t.Error("the zone label does not follow the option")
	}
}
