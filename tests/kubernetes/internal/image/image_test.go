package image

import (
	"archive/tar"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

func TestImageIsReproducibleAndWhole(t *testing.T) {
	program := dynamicProgram(t)
	spec := Spec{Name: "test.local/x:1", Programs: []string{program}, Entrypoint: []string{"/bin/" + filepath.Base(program)}, User: 65532}
	first, second := filepath.Join(t.TempDir(), "a.tar"), filepath.Join(t.TempDir(), "b.tar")
	for _, out := range []string{first, second} {
		if err := Write(out, spec); err != nil {
			t.Fatal(err)
		}
	}
	files := untar(t, read(t, first))
	if !bytes.Equal(read(t, first), read(t, second)) {
		t.Error("the same program gives two different images")
	}
	if name, err := NameOf(first); err != nil || name != spec.Name {
		t.Errorf("the name reads %q, %v", name, err)
	}
	var docker []struct{ Layers []string }
	if err := json.Unmarshal(files["manifest.json"].content, &docker); err != nil {
		t.Fatal(err)
	}
	layer := untar(t, files[docker[0].Layers[0]].content)
	if layer["tmp/"].mode != 0o1777 {
		t.Errorf("/tmp has the mode %o", layer["tmp/"].mode)
	}
	needs, err := inspect(program)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"bin/" + filepath.Base(program), "etc/passwd", "etc/group", "etc/nsswitch.conf", strings.TrimPrefix(needs.loader, "/")} {
		if len(layer[want].content) == 0 {
			t.Errorf("the image lacks %s", want)
		}
	}
	if !hasLibrary(layer, "libc.so.6") {
		t.Error("the image lacks libc.so.6")
	}
}

func TestNamesThatTheKubeletWouldAskARegistryFor(t *testing.T) {
	for _, name := range []string{"", "x:1", "library/x:1", "test.local/x", "test.local/x:latest", "test.local/x:"} {
		if err := (Spec{Name: name, Programs: []string{"x"}}).validate(); err == nil {
			t.Errorf("the name %q passes", name)
		}
	}
	if err := (Spec{Name: "localhost:5000/x:dev", Programs: []string{"x"}}).validate(); err != nil {
		t.Error(err)
	}
}

func TestWhatIsNoProgramOrNoImageIsRefused(t *testing.T) {
	text := filepath.Join(t.TempDir(), "text")
	if err := os.WriteFile(text, []byte("no program"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := Write(filepath.Join(t.TempDir(), "x.tar"), Spec{Name: "test.local/x:1", Programs: []string{text}}); err == nil {
		t.Error("a text became an image")
	}
	if _, err := NameOf(text); err == nil {
		t.Error("a text has an image's name")
	}
}

func dynamicProgram(t *testing.T) string {
	t.Helper()
	path, err := exec.LookPath("ls")
	if err != nil {
		t.Skip("no dynamic program to try")
	}
	if needs, err := inspect(path); err != nil || needs.loader == "" {
		t.Skip("ls is no dynamic program here")
	}
	return path
}

func hasLibrary(layer map[string]entry, name string) bool {
	for path := range layer {
		if filepath.Base(path) == name {
			return true
		}
	}
	return false
}

type entry struct {
	mode    int64
	content []byte
}

func untar(t *testing.T, archive []byte) map[string]entry {
	t.Helper()
	entries := map[string]entry{}
	reader := tar.NewReader(bytes.NewReader(archive))
	for {
		header, err := reader.Next()
		if errors.Is(err, io.EOF) {
			return entries
		}
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(reader)
		if err != nil {
			t.Fatal(err)
		}
		entries[header.Name] = entry{header.Mode, content}
	}
}

func read(t *testing.T, path string) []byte {
	t.Helper()
	content, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return content
}
