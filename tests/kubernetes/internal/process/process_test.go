package process

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestAProcessIsKnownAgainAndEnded(t *testing.T) {
	registry := NewRegistry(filepath.Join(t.TempDir(), "records"))
	if err := registry.Start(Spec{Name: "sleeper", Args: []string{"sleep", "60"}, Log: filepath.Join(t.TempDir(), "log")}); err != nil {
		t.Fatal(err)
	}
	record, found := registry.Find("sleeper")
	if !found || !record.Alive() {
		t.Fatal("the process is not known again")
	}
	if err := registry.Kill("sleeper"); err != nil {
		t.Fatal(err)
	}
	if record.Alive() {
		t.Error("the process runs after its end")
	}
	if _, found := registry.Find("sleeper"); found {
		t.Error("an ended process is still recorded")
	}
}

func TestAForeignProcessWithARecordedPidIsLeftAlone(t *testing.T) {
	registry := NewRegistry(t.TempDir())
	_, started, err := stat(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	for _, record := range []Record{
		{Name: "other-start", PID: os.Getpid(), Started: started + 1, Boot: bootID(), Args: os.Args},
		{Name: "other-boot", PID: os.Getpid(), Started: started, Boot: "another", Args: os.Args},
		{Name: "other-args", PID: os.Getpid(), Started: started, Boot: bootID(), Args: []string{"something", "else"}},
	} {
		if err := registry.write(record); err != nil {
			t.Fatal(err)
		}
		if err := registry.Kill(record.Name); err != nil { // were it taken for ours, this test would end here
			t.Error(err)
		}
	}
}

func TestWaitNoticesADeath(t *testing.T) {
	registry := NewRegistry(filepath.Join(t.TempDir(), "records"))
	log := filepath.Join(t.TempDir(), "log")
	if err := registry.Start(Spec{Name: "brief", Args: []string{"sh", "-c", "sleep 0.1; echo last words"}, Log: log}); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
	defer cancel()
	err := registry.Wait(ctx, "nothing", []string{"brief"}, func(context.Context) error { return errors.New("not yet") })
	if err == nil || !strings.Contains(err.Error(), "last words") {
		t.Errorf("Wait said: %v", err)
	}
}

func TestParseStat(t *testing.T) {
	line := "42 (a (b) c) S 1 42 42 0 -1 4194560 1 0 0 0 1 2 0 0 20 0 1 0 987654 1 1"
	state, started, err := parseStat(line)
	if err != nil || state != 'S' || started != 987654 {
		t.Errorf("parseStat gave %c, %d, %v", state, started, err)
	}
	for _, bad := range []string{"", "42 (x", "42 (x) S 1"} {
		if _, _, err := parseStat(bad); err == nil {
			t.Errorf("parseStat took %q", bad)
		}
	}
}
