package cluster

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
)

// Kubectl runs the kubectl in this binary on the cluster and gives its output.
func (h *Harness) Kubectl(ctx context.Context, input []byte, arguments ...string) (string, error) {
	command := exec.CommandContext(ctx, h.program, append([]string{"kubectl"}, arguments...)...)
	command.Env = append(os.Environ(), h.ToolEnvironment()...)
	command.Stdin = bytes.NewReader(input)
	var output, complaint bytes.Buffer
	command.Stdout, command.Stderr = &output, &complaint
	if err := command.Run(); err != nil {
		return output.String(), fmt.Errorf("`kubectl %s` failed: %w: %s", strings.Join(arguments, " "), err, strings.TrimSpace(complaint.String()))
	}
	return output.String(), nil
}

// apply hands a manifest to the cluster.
func (h *Harness) apply(ctx context.Context, manifest []byte) error {
	_, err := h.Kubectl(ctx, manifest, "apply", "--server-side", "-f", "-")
	return err
}

// ToolEnvironment makes kubectl and helm use this cluster, and keep what they remember in the home folder of the harness.
func (h *Harness) ToolEnvironment() []string {
	tools := h.home.ToolState()
	return []string{
		"KUBECONFIG=" + h.home.Kubeconfig(),
		"KUBECACHEDIR=" + tools + "/kubectl",
		"KUBERC=off",
		"HELM_CACHE_HOME=" + tools + "/helm/cache",
		"HELM_CONFIG_HOME=" + tools + "/helm/config",
		"HELM_DATA_HOME=" + tools + "/helm/data",
		// Set by a pod or a person, these would point somewhere else.
		"KUBERNETES_SERVICE_HOST=", "KUBERNETES_MASTER=", "HELM_KUBECONTEXT=", "HELM_KUBEAPISERVER=",
	}
}
