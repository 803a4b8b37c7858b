// Package image writes container images without a container engine: programs with the libraries they need, as one layer in a tar that is
// both an OCI layout (for `ctr images import` and `kind load image-archive`) and what `docker load` reads.
package image

import (
	"archive/tar"
	"fmt"
	"io"
	"os"
	"path"
	"path/filepath"
	"sort"
	"strings"
	"time"
)

const (
	passwd   = "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n"
	group    = "root:x:0:\nnonroot:x:65532:\n"
	nsswitch = "passwd: files\ngroup: files\nhosts: files dns\n"
)

// file is one file of the image: a copy of a source on this machine, or a text.
type file struct {
	source string
	text   string
	mode   int64
}

// root lists all files of the image by their path, which has no leading slash.
func root(programs []string) (map[string]file, error) {
	files := map[string]file{
		"etc/passwd":        {text: passwd, mode: 0o644},
		"etc/group":         {text: group, mode: 0o644},
		"etc/nsswitch.conf": {text: nsswitch, mode: 0o644},
	}
	for _, program := range programs {
		name := "bin/" + filepath.Base(program)
		if _, twice := files[name]; twice {
			return nil, fmt.Errorf("two of the programs are called %s", filepath.Base(program))
		}
		files[name] = file{source: program, mode: 0o755}
	}
	needed, err := libraries(programs)
	if err != nil {
		return nil, err
	}
	for inside, source := range needed {
		files[strings.TrimPrefix(inside, "/")] = file{source: source, mode: 0o755}
	}
	return files, nil
}

// writeLayer writes the files as a tar that depends on nothing but their paths, modes and contents.
func writeLayer(to io.Writer, files map[string]file) error {
	out := tar.NewWriter(to)
	folders := map[string]int64{"tmp": 0o1777}
	var names []string
	for name := range files {
		names = append(names, name)
		for folder := path.Dir(name); folder != "."; folder = path.Dir(folder) {
			folders[folder] = 0o755
		}
	}
	for folder := range folders {
		names = append(names, folder)
	}
	sort.Strings(names) // a folder sorts before what it holds
	for _, name := range names {
		if mode, isFolder := folders[name]; isFolder {
			if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeDir, Name: name + "/", Mode: mode, ModTime: epoch, Format: tar.FormatPAX}); err != nil {
				return fmt.Errorf("cannot write the layer: %w", err)
			}
			continue
		}
		if err := writeFile(out, name, files[name]); err != nil {
			return err
		}
	}
	if err := out.Close(); err != nil {
		return fmt.Errorf("cannot write the layer: %w", err)
	}
	return nil
}

var epoch = time.Unix(0, 0)

func writeFile(out *tar.Writer, name string, from file) error {
	var content io.Reader = strings.NewReader(from.text)
	size := int64(len(from.text))
	if from.source != "" {
		source, err := os.Open(from.source) // follows links: in the image each name is a file
		if err != nil {
			return fmt.Errorf("cannot read a file for the image: %w", err)
		}
		defer func() { _ = source.Close() }()
		info, err := source.Stat()
		if err != nil {
			return fmt.Errorf("cannot read a file for the image: %w", err)
		}
		content, size = source, info.Size()
	}
	if err := out.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: from.mode, ModTime: epoch, Format: tar.FormatPAX}); err != nil {
		return fmt.Errorf("cannot write %s into the layer: %w", name, err)
	}
	if _, err := io.Copy(out, content); err != nil {
		return fmt.Errorf("cannot write %s into the layer (did it change meanwhile?): %w", name, err)
	}
	return nil
}
