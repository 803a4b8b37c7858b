package cluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sync/errgroup"

	"dynamokv.dev/tests/kubernetes/internal/containerd"
	"dynamokv.dev/tests/kubernetes/internal/image"
	"dynamokv.dev/tests/kubernetes/internal/layout"
)

// ownImages are what the harness itself runs in pods. Their programs lie beside the kubebox binary.
func (h *Harness) ownImages() map[string]image.Spec {
	beside := func(name string) string { return filepath.Join(filepath.Dir(h.program), name) }
	return map[string]image.Spec{
		"pause.tar":   {Name: layout.PauseImage, Programs: []string{beside("pause")}, Entrypoint: []string{"/bin/pause"}, User: 65535},
		"probe.tar":   {Name: layout.ProbeImage, Programs: []string{beside("probe")}, Entrypoint: []string{"/bin/probe"}, User: 65532},
		"coredns.tar": {Name: layout.DNSImage, Programs: []string{h.program}, Entrypoint: []string{"/bin/kubebox", "coredns"}},
	}
}

// writeOwnImages writes those images that are older than their programs.
func (h *Harness) writeOwnImages() error {
	var writing errgroup.Group
	for name, spec := range h.ownImages() {
		writing.Go(func() error {
			program, err := os.Stat(spec.Programs[0])
			if err != nil {
				return fmt.Errorf("the harness is not built whole; run scripts/setup --embedded: %w", err)
			}
			tar := filepath.Join(h.home.OwnImages(), name)
			if written, err := os.Stat(tar); err == nil && written.ModTime().After(program.ModTime()) {
				return nil
			}
			return image.Write(tar, spec)
		})
	}
	return writing.Wait()
}

// imageTars lists what every node is given: the images of the harness, and those that were loaded.
func (h *Harness) imageTars() ([]string, error) {
	own, err := filepath.Glob(filepath.Join(h.home.OwnImages(), "*.tar"))
	if err != nil {
		return nil, fmt.Errorf("cannot list the images: %w", err)
	}
	loaded, err := filepath.Glob(filepath.Join(h.home.LoadedImages(), "*.tar"))
	if err != nil {
		return nil, fmt.Errorf("cannot list the images: %w", err)
	}
	return append(own, loaded...), nil
}

// Load puts images into every node that runs, and keeps them for those that start later.
func (h *Harness) Load(ctx context.Context, tars []string) error {
	if len(tars) == 0 {
		return errors.New("name the image tars to load")
	}
	return h.locked(ctx, func() error {
		cluster, err := h.current()
		if err != nil {
			return err
		}
		var kept []string
		for _, tar := range tars {
			copied, name, err := h.keep(tar)
			if err != nil {
				return err
			}
			kept = append(kept, copied)
			h.Say("loading %s", name)
		}
		together, shared := errgroup.WithContext(ctx)
		for _, each := range h.runningNodes(cluster) {
			together.Go(func() error {
				for _, tar := range kept {
					if err := containerd.Import(shared, each, tar); err != nil {
						return err
					}
				}
				return nil
			})
		}
		if err := together.Wait(); err != nil {
			return err
		}
		h.Say("loaded into %d node(s)", len(h.runningNodes(cluster)))
		return nil
	})
}

// keep copies a tar, since the original may be built anew or removed. A later image of the same name takes its place.
func (h *Harness) keep(tar string) (path, name string, err error) {
	if name, err = image.NameOf(tar); err != nil {
		return "", "", err
	}
	folder := h.home.LoadedImages()
	if err := os.MkdirAll(folder, 0o755); err != nil {
		return "", "", fmt.Errorf("cannot make the folder of loaded images: %w", err)
	}
	path = filepath.Join(folder, strings.NewReplacer("/", "_", ":", "_").Replace(name)+".tar")
	if err := copyFile(tar, path); err != nil {
		return "", "", fmt.Errorf("cannot keep a copy of %s: %w", tar, err)
	}
	return path, name, nil
}

func copyFile(from, to string) error {
	source, err := os.Open(from)
	if err != nil {
		return err
	}
	defer func() { _ = source.Close() }()
	target, err := os.CreateTemp(filepath.Dir(to), ".copy-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(target.Name()) }() // gone already if all went well
	if _, err := io.Copy(target, source); err != nil {
		_ = target.Close()
		return err
	}
	if err := target.Close(); err != nil {
		return err
	}
	return os.Rename(target.Name(), to)
}
