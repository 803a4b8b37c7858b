// Package containerd runs one containerd for each node, and puts images into it.
package containerd

import (
	"bytes"
	"embed"
	"fmt"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"text/template"

	"dynamokv.dev/tests/kubernetes/internal/layout"
)

//go:embed config-v2.toml config-v3.toml
var templates embed.FS

var versionPattern = regexp.MustCompile(`\bv?(\d+)\.(\d+)\.\d+`)

// Tools says where the programs are that containerd starts.
type Tools struct {
	Runc string
	CNI  string // folder of the plugins
}

// WriteConfig writes the configuration of a node's containerd in the format that the installed version reads.
func WriteConfig(node layout.Node, tools Tools) error {
	output, err := exec.Command("containerd", "--version").Output()
	if err != nil {
		return fmt.Errorf("cannot ask containerd for its version: %w", err)
	}
	major, err := majorVersion(string(output))
	if err != nil {
		return err
	}
	text, err := render(major, node, tools)
	if err != nil {
		return err
	}
	if err := os.WriteFile(node.Path("containerd.toml"), text, 0o644); err != nil {
		return fmt.Errorf("cannot write the configuration of containerd: %w", err)
	}
	return nil
}

// Args gives the command line of a node's containerd.
func Args(node layout.Node) []string {
	return []string{"containerd", "-c", node.Path("containerd.toml")}
}

func render(major int, node layout.Node, tools Tools) ([]byte, error) {
	name := "config-v2.toml"
	if major >= 2 {
		name = "config-v3.toml"
	}
	parsed, err := template.ParseFS(templates, name)
	if err != nil {
		return nil, fmt.Errorf("the template %s is faulty: %w", name, err)
	}
	var text bytes.Buffer
	err = parsed.Execute(&text, map[string]string{
		"Run": node.Run(), "Socket": node.Socket(), "Pause": layout.PauseImage, "Runc": tools.Runc, "CNI": tools.CNI,
	})
	if err != nil {
		return nil, fmt.Errorf("the template %s is faulty: %w", name, err)
	}
	return text.Bytes(), nil
}

func majorVersion(output string) (int, error) {
	match := versionPattern.FindStringSubmatch(output)
	if match == nil {
		return 0, fmt.Errorf("containerd does not tell its version: %q", output)
	}
	return strconv.Atoi(match[1])
}
