package state

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"dynamokv.dev/tests/kubernetes/internal/layout"
)

func TestStateIsReadBack(t *testing.T) {
	home := layout.Home(t.TempDir())
	if _, up, err := Read(home); up || err != nil {
		t.Fatalf("an empty home reads as %v, %v", up, err)
	}
	want := Cluster{Shape: Shape{Nodes: 3, Zones: true}, Port: 1234, Stopped: []int{2}, Pods: map[int]string{1: "10.244.0.0/24"}}
	if err := Write(home, want); err != nil {
		t.Fatal(err)
	}
	got, up, err := Read(home)
	if err != nil || !up || got.Shape != want.Shape || got.Port != want.Port || len(got.Stopped) != 1 || got.Pods[1] != want.Pods[1] {
		t.Errorf("read %+v, %v, %v", got, up, err)
	}
	if err := os.WriteFile(home.State(), []byte("{"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Read(home); err == nil {
		t.Error("a damaged state was read")
	}
}

func TestTwoNeverHoldTheLock(t *testing.T) {
	path := filepath.Join(t.TempDir(), "run", "lock")
	quiet := func(string, ...any) {}
	first, err := acquire(t.Context(), path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	brief, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := acquire(brief, path, quiet); err == nil {
		t.Fatal("two hold the lock")
	}
	// A holder may remove the file with its folder; whoever comes next makes a new one.
	if err := os.RemoveAll(filepath.Dir(path)); err != nil {
		t.Fatal(err)
	}
	first.Release()
	second, err := acquire(t.Context(), path, quiet)
	if err != nil {
		t.Fatal(err)
	}
	second.Release()
}
