package cluster

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"dynamokv.dev/tests/kubernetes/internal/image"
	"dynamokv.dev/tests/kubernetes/internal/state"
)

func harness(t *testing.T) *Harness {
	t.Helper()
	t.Setenv("KUBEBOX_HOME", t.TempDir())
	harness, err := Open()
	if err != nil {
		t.Fatal(err)
	}
	return harness
}

func TestVerbsWithoutAClusterSaySo(t *testing.T) {
	if err := harness(t).RequireUp(); !errors.Is(err, ErrNotUp) {
		t.Errorf("RequireUp said %v", err)
	}
}

func TestAStoppedNodeNeedsNoProcesses(t *testing.T) {
	h := harness(t)
	names := h.expected(state.Cluster{Shape: state.Shape{Nodes: 2}, Stopped: []int{1}})
	all := " " + strings.Join(names, " ") + " "
	if strings.Contains(all, " kubelet-1 ") || !strings.Contains(all, " kubelet-2 ") || !strings.Contains(all, " etcd ") {
		t.Errorf("expected%s", all)
	}
}

func TestALoadedImageReplacesTheOneOfItsName(t *testing.T) {
	h := harness(t)
	program, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	for _, tar := range []string{"first.tar", "second.tar"} {
		path := filepath.Join(t.TempDir(), tar)
		if err := image.Write(path, image.Spec{Name: "test.local/x:1", Programs: []string{program}}); err != nil {
			t.Fatal(err)
		}
		if _, name, err := h.keep(path); err != nil || name != "test.local/x:1" {
			t.Fatalf("keep gave %q, %v", name, err)
		}
	}
	kept, err := h.imageTars()
	if err != nil || len(kept) != 1 {
		t.Errorf("kept %q, %v", kept, err)
	}
}

func TestLogsOfNothingAreAnEmptyFolder(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "logs")
	if err := harness(t).Logs(t.Context(), folder); err != nil {
		t.Error(err)
	}
	if entries, err := os.ReadDir(folder); err != nil || len(entries) != 0 {
		t.Errorf("gathered %v, %v", entries, err)
	}
}

func TestToolsLeaveTheUsersHomeAlone(t *testing.T) {
	h := harness(t)
	for _, setting := range h.ToolEnvironment() {
		name, value, _ := strings.Cut(setting, "=")
		if strings.HasSuffix(name, "_HOME") || name == "KUBECONFIG" || name == "KUBECACHEDIR" {
			if !strings.HasPrefix(value, string(h.Home())) {
				t.Errorf("%s lies outside of the harness", setting)
			}
		}
	}
}
