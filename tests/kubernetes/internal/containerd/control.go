package containerd

import (
	"context"
	"fmt"
	"os/exec"
	"strings"

	"dynamokv.dev/tests/kubernetes/internal/layout"
)

// Answers says whether a node's containerd is ready to work.
func Answers(ctx context.Context, node layout.Node) error {
	_, err := ctr(ctx, node, "version")
	return err
}

// Import puts an image from a tar into a node. An image that is there already costs only the reading of the tar.
func Import(ctx context.Context, node layout.Node, tar string) error {
	if _, err := ctr(ctx, node, "-n", "k8s.io", "images", "import", tar); err != nil {
		return fmt.Errorf("cannot load %s into %s: %w", tar, node.Name(), err)
	}
	return nil
}

func ctr(ctx context.Context, node layout.Node, arguments ...string) (string, error) {
	output, err := exec.CommandContext(ctx, "ctr", append([]string{"-a", node.Socket()}, arguments...)...).CombinedOutput()
	if err != nil {
		return "", fmt.Errorf("`ctr %s` failed: %w: %s", strings.Join(arguments, " "), err, strings.TrimSpace(string(output)))
	}
	return string(output), nil
}
