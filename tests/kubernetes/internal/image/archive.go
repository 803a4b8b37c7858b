package image

import (
	"archive/tar"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
)

// Spec says what an image is.
type Spec struct {
	Name       string   // registry/repository:tag
	Programs   []string // files on this machine; each lands in /bin
	Entrypoint []string
	User       int
}

// Write writes the image as a tar, replacing the file in one step. The same programs and libraries give the same bytes.
func Write(out string, spec Spec) error {
	if err := spec.validate(); err != nil {
		return err
	}
	files, err := root(spec.Programs)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(out), 0o755); err != nil {
		return fmt.Errorf("cannot make the folder of %s: %w", out, err)
	}
	layer, err := os.CreateTemp(filepath.Dir(out), ".layer-*")
	if err != nil {
		return fmt.Errorf("cannot make a file for the layer: %w", err)
	}
	defer func() { _, _ = layer.Close(), os.Remove(layer.Name()) }()
	hash := sha256.New()
	if err := writeLayer(io.MultiWriter(layer, hash), files); err != nil {
		return err
	}
	machine, err := architecture(spec.Programs[0])
	if err != nil {
		return err
	}
	return writeArchive(out, spec, machine, layer, hex.EncodeToString(hash.Sum(nil)))
}

func (s Spec) validate() error {
	registry, rest, hasRegistry := strings.Cut(s.Name, "/")
	_, tag, hasTag := strings.Cut(rest, ":")
	switch {
	case len(s.Programs) == 0:
		return errors.New("an image needs at least one program")
	case !hasRegistry || !strings.ContainsAny(registry, ".:"):
		return fmt.Errorf("the image name %q has no registry; write one, such as example.local/%s, or the kubelet looks for it at a default one", s.Name, s.Name)
	case !hasTag || tag == "" || tag == "latest":
		return fmt.Errorf("the image name %q needs a tag that is not latest, or the kubelet asks a registry for it every time", s.Name)
	}
	return nil
}

func writeArchive(out string, spec Spec, machine string, layer *os.File, layerDigest string) error {
	type object = map[string]any
	size, err := layer.Seek(0, io.SeekEnd)
	if err != nil {
		return fmt.Errorf("cannot measure the layer: %w", err)
	}
	config, configDigest, err := blob(object{
		"architecture": machine, "os": "linux",
		"config": object{
			"Env": []string{"PATH=/bin"}, "Entrypoint": spec.Entrypoint, "WorkingDir": "/",
			"User": fmt.Sprintf("%d:%d", spec.User, spec.User),
		},
		"rootfs":  object{"type": "layers", "diff_ids": []string{"sha256:" + layerDigest}},
		"history": []object{{"created": "1970-01-01T00:00:00Z", "created_by": "kubebox image"}},
	})
	if err != nil {
		return err
	}
	manifest, manifestDigest, err := blob(object{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.manifest.v1+json",
		"config": object{"mediaType": "application/vnd.oci.image.config.v1+json", "digest": "sha256:" + configDigest, "size": len(config)},
		"layers": []object{{"mediaType": "application/vnd.oci.image.layer.v1.tar", "digest": "sha256:" + layerDigest, "size": size}},
	})
	if err != nil {
		return err
	}
	index, _, err := blob(object{
		"schemaVersion": 2, "mediaType": "application/vnd.oci.image.index.v1+json",
		"manifests": []object{{
			"mediaType": "application/vnd.oci.image.manifest.v1+json", "digest": "sha256:" + manifestDigest, "size": len(manifest),
			"platform":    object{"architecture": machine, "os": "linux"},
			"annotations": object{"io.containerd.image.name": spec.Name, "org.opencontainers.image.ref.name": spec.Name},
		}},
	})
	if err != nil {
		return err
	}
	docker, _, err := blob([]object{{"Config": blobPath(configDigest), "RepoTags": []string{spec.Name}, "Layers": []string{blobPath(layerDigest)}}})
	if err != nil {
		return err
	}

	file, err := os.CreateTemp(filepath.Dir(out), ".image-*")
	if err != nil {
		return fmt.Errorf("cannot make a file for the image: %w", err)
	}
	defer func() { _, _ = file.Close(), os.Remove(file.Name()) }()
	archive := tar.NewWriter(file)
	write := func(name string, content io.Reader, size int64) {
		if err == nil {
			err = archive.WriteHeader(&tar.Header{Name: name, Size: size, Mode: 0o644, ModTime: epoch})
		}
		if err == nil {
			_, err = io.Copy(archive, content)
		}
	}
	text := func(name string, content []byte) {
		write(name, strings.NewReader(string(content)), int64(len(content)))
	}
	text("oci-layout", []byte(`{"imageLayoutVersion":"1.0.0"}`))
	text("index.json", index)
	text("manifest.json", docker)
	text(blobPath(manifestDigest), manifest)
	text(blobPath(configDigest), config)
	write(blobPath(layerDigest), io.NewSectionReader(layer, 0, size), size)
	if err := errors.Join(err, archive.Close(), file.Chmod(0o644), file.Close()); err != nil {
		return fmt.Errorf("cannot write the image %s: %w", out, err)
	}
	if err := os.Rename(file.Name(), out); err != nil {
		return fmt.Errorf("cannot write the image %s: %w", out, err)
	}
	return nil
}

func blobPath(digest string) string { return "blobs/sha256/" + digest }

// blob encodes a part of the image; the keys of its maps come out sorted, so the bytes are always the same.
func blob(value any) (text []byte, digest string, err error) {
	text, err = json.Marshal(value)
	if err != nil {
		return nil, "", fmt.Errorf("cannot encode a part of the image: %w", err)
	}
	sum := sha256.Sum256(text)
	return text, hex.EncodeToString(sum[:]), nil
}

// architecture gives a program's machine by the name that images use.
func architecture(program string) (string, error) {
	needs, err := inspect(program)
	if err != nil {
		return "", err
	}
	names := map[string]string{"EM_X86_64": "amd64", "EM_AARCH64": "arm64"}
	name, known := names[needs.machine.String()]
	if !known {
		return "", fmt.Errorf("%s is for the machine %s, for which no image can be written", program, needs.machine)
	}
	return name, nil
}
