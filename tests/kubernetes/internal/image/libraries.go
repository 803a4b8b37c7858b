package image

import (
	"bufio"
	"debug/elf"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
)

// libraries gives every shared library that the programs need, directly or through another, and their loader: by the path in the image,
// the file on this machine.
func libraries(programs []string) (map[string]string, error) {
	found := map[string]string{}
	folders := searchPath()
	for queue := append([]string(nil), programs...); len(queue) > 0; queue = queue[1:] {
		needs, err := inspect(queue[0])
		if err != nil {
			return nil, err
		}
		if needs.loader != "" {
			found[needs.loader] = needs.loader
		}
		for _, name := range needs.names {
			path, err := locate(name, needs, folders)
			if err != nil {
				return nil, fmt.Errorf("%s needs %s: %w", queue[0], name, err)
			}
			if _, known := found[path]; !known {
				found[path] = path
				queue = append(queue, path)
			}
			if name == "libc.so.6" {
				// Opened by name when a host or a user is looked up; part of libc itself since glibc 2.34, and then only stubs, if anything.
				for _, service := range []string{"libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"} {
					if path, err := locate(service, needs, folders); err == nil {
						found[path] = path
					}
				}
			}
		}
	}
	return found, nil
}

// needs is what an ELF file asks of its loader.
type needs struct {
	loader  string
	names   []string
	runPath []string
	class   elf.Class
	machine elf.Machine
}

func inspect(path string) (needs, error) {
	file, err := elf.Open(path)
	if err != nil {
		return needs{}, fmt.Errorf("%s is no program of this kind of machine: %w", path, err)
	}
	defer func() { _ = file.Close() }()
	result := needs{class: file.Class, machine: file.Machine}
	for _, header := range file.Progs {
		if header.Type == elf.PT_INTERP {
			text := make([]byte, header.Filesz)
			if _, err := header.ReadAt(text, 0); err != nil {
				return needs{}, fmt.Errorf("cannot read the loader's name in %s: %w", path, err)
			}
			result.loader = strings.TrimRight(string(text), "\x00")
		}
	}
	if file.Section(".dynamic") == nil {
		return result, nil // static
	}
	if result.names, err = file.ImportedLibraries(); err != nil {
		return needs{}, fmt.Errorf("cannot read which libraries %s needs: %w", path, err)
	}
	for _, tag := range []elf.DynTag{elf.DT_RUNPATH, elf.DT_RPATH} {
		values, _ := file.DynString(tag)
		for _, value := range values {
			for _, folder := range strings.Split(value, ":") {
				folder = strings.NewReplacer("$ORIGIN", filepath.Dir(path), "${ORIGIN}", filepath.Dir(path)).Replace(folder)
				result.runPath = append(result.runPath, folder)
			}
		}
	}
	return result, nil
}

// locate finds a library as the loader would: the first of that name and of the same architecture.
func locate(name string, of needs, folders []string) (string, error) {
	for _, folder := range append(append([]string(nil), of.runPath...), folders...) {
		path := filepath.Join(folder, name)
		file, err := elf.Open(path)
		if err != nil {
			continue
		}
		fits := file.Class == of.class && file.Machine == of.machine
		_ = file.Close()
		if fits {
			return path, nil
		}
	}
	return "", fmt.Errorf("it is in none of %s", strings.Join(folders, ", "))
}

// searchPath gives the folders in which a loader looks without a cache, and the image has none: the loader of Debian looks in the first
// ones, that of others in the rest. What /etc/ld.so.conf adds is only a place to find libraries here.
func searchPath() []string {
	triplet := map[string]string{"amd64": "x86_64-linux-gnu", "arm64": "aarch64-linux-gnu"}[runtime.GOARCH]
	folders := []string{"/lib/" + triplet, "/usr/lib/" + triplet, "/lib64", "/usr/lib64", "/lib", "/usr/lib"}
	return append(folders, configured("/etc/ld.so.conf")...)
}

func configured(path string) []string {
	file, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer func() { _ = file.Close() }()
	var folders []string
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line, _, _ := strings.Cut(lines.Text(), "#")
		line = strings.TrimSpace(line)
		if pattern, included := strings.CutPrefix(line, "include "); included {
			matches, _ := filepath.Glob(strings.TrimSpace(pattern))
			for _, match := range matches {
				folders = append(folders, configured(match)...)
			}
		} else if strings.HasPrefix(line, "/") {
			folders = append(folders, line)
		}
	}
	return folders
}
