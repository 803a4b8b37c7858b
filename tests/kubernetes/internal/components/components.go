// Package components holds every program of a Kubernetes cluster, each started by its own name.
//
// It is the only package that imports those programs, so that everything else of the harness compiles and tests in seconds.
package components

import (
	"context"
	"fmt"
	"os"

	"github.com/spf13/cobra"
	etcd "go.etcd.io/etcd/server/v3/etcdmain"
	helm "helm.sh/helm/v4/pkg/cmd"
	"k8s.io/component-base/cli"
	kubectl "k8s.io/kubectl/pkg/cmd"
	apiserver "k8s.io/kubernetes/cmd/kube-apiserver/app"
	controllers "k8s.io/kubernetes/cmd/kube-controller-manager/app"
	proxy "k8s.io/kubernetes/cmd/kube-proxy/app"
	scheduler "k8s.io/kubernetes/cmd/kube-scheduler/app"
	kubelet "k8s.io/kubernetes/cmd/kubelet/app"
)

// programs run one component on os.Args, whose first element is the component's name, and give its exit code.
var programs = map[string]func() int{
	"etcd":                    func() int { etcd.Main(os.Args); return 0 },
	"coredns":                 runDNS,
	"helm":                    runHelm,
	"kube-apiserver":          command(apiserver.NewAPIServerCommand),
	"kube-controller-manager": command(controllers.NewControllerManagerCommand),
	"kube-scheduler":          command(func() *cobra.Command { return scheduler.NewSchedulerCommand() }),
	"kube-proxy":              command(proxy.NewProxyCommand),
	"kubectl":                 command(kubectl.NewDefaultKubectlCommand),
	"kubelet":                 command(func() *cobra.Command { return kubelet.NewKubeletCommand(context.Background()) }),
}

// Known says whether a component of this name is part of the binary.
func Known(name string) bool {
	_, found := programs[name]
	return found
}

// Run runs the component of this name with os.Args as its own command line.
func Run(name string) int {
	program, found := programs[name]
	if !found {
		fmt.Fprintf(os.Stderr, "kubebox: no component is called %q\n", name)
		return 2
	}
	return program()
}

// command defers the construction: building all of them costs time and registers conflicting global flags.
func command(construct func() *cobra.Command) func() int {
	return func() int { return cli.Run(construct()) }
}

func runHelm() int {
	root, err := helm.NewRootCmd(os.Stdout, os.Args[1:], helm.SetupLogging)
	if err != nil {
		fmt.Fprintln(os.Stderr, "helm:", err)
		return 1
	}
	if err := root.Execute(); err != nil {
		return 1
	}
	return 0
}
