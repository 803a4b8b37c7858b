package check

import (
	"os"
	"path/filepath"
	"testing"
)

func TestPluginsCountOnlyWhenComplete(t *testing.T) {
	partial, complete := t.TempDir(), t.TempDir()
	for i, plugin := range plugins {
		if i > 0 {
			touch(t, filepath.Join(partial, plugin))
		}
		touch(t, filepath.Join(complete, plugin))
	}
	if got := findPlugins([]string{"/nowhere", partial, complete}); got != complete {
		t.Errorf("found the plugins in %q", got)
	}
	if got := findPlugins([]string{partial}); got != "" {
		t.Errorf("took the incomplete %q", got)
	}
}

func TestAFolderYetToBeMadeIsLookedAt(t *testing.T) {
	base := t.TempDir()
	if onOverlay(filepath.Join(base, "not", "yet")) != onOverlay(base) {
		t.Error("a folder to be made is judged otherwise than the one that it will be in")
	}
}

func touch(t *testing.T, path string) {
	t.Helper()
	if err := os.WriteFile(path, nil, 0o755); err != nil {
		t.Fatal(err)
	}
}
