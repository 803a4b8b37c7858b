package image

import (
	"archive/tar"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
)

// NameOf reads the name of the image in a tar, be it written here or by `docker save`.
func NameOf(path string) (string, error) {
	file, err := os.Open(path)
	if err != nil {
		return "", fmt.Errorf("cannot open the image: %w", err)
	}
	defer func() { _ = file.Close() }()
	archive := tar.NewReader(file)
	for {
		header, err := archive.Next()
		if errors.Is(err, io.EOF) {
			return "", fmt.Errorf("%s is no image: it has no manifest.json", path)
		}
		if err != nil {
			return "", fmt.Errorf("%s is no image: %w", path, err)
		}
		if header.Name != "manifest.json" {
			continue
		}
		var manifests []struct{ RepoTags []string }
		if err := json.NewDecoder(io.LimitReader(archive, 1<<20)).Decode(&manifests); err != nil {
			return "", fmt.Errorf("%s is no image: its manifest.json cannot be read: %w", path, err)
		}
		if len(manifests) == 0 || len(manifests[0].RepoTags) == 0 {
			return "", fmt.Errorf("the image in %s has no name; save it by name and tag", path)
		}
		return manifests[0].RepoTags[0], nil
	}
}
