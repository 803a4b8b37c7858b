package cgroup

import (
	"os"
	"path/filepath"
	"testing"
)

func TestVersion1FillsCpusets(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "cpuset", "cpuset.cpus"), "0-1\n")
	write(t, filepath.Join(root, "cpuset", "cpuset.mems"), "0\n")
	write(t, filepath.Join(root, "memory", "memory.limit_in_bytes"), "1\n")
	if err := makeEverywhere(root, "/kbx-n1"); err != nil {
		t.Fatal(err)
	}
	if got := read(t, filepath.Join(root, "cpuset", "kbx-n1", "cpuset.cpus")); got != "0-1\n" {
		t.Errorf("cpuset.cpus is %q", got)
	}
	if _, err := os.Stat(filepath.Join(root, "memory", "kbx-n1", "cpuset.cpus")); err == nil {
		t.Error("the memory hierarchy was given a cpuset")
	}
}

func TestVersion2HandsControllersDown(t *testing.T) {
	root := t.TempDir()
	write(t, filepath.Join(root, "cgroup.controllers"), "cpu memory pids\n")
	if err := makeUnified(root, "/kbx-n1"); err != nil {
		t.Fatal(err)
	}
	for _, folder := range []string{root, filepath.Join(root, "kbx-n1")} {
		if got := read(t, filepath.Join(folder, "cgroup.subtree_control")); got != "+pids" { // a plain file keeps the last write
			t.Errorf("%s has %q", folder, got)
		}
	}
}

func write(t *testing.T, path, text string) {
	t.Helper()
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string) string {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}
