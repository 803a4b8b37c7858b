// Command kubebox is a whole Kubernetes in one static binary, and the harness that runs it on a bare Linux machine: no container engine,
// no registry, no virtual machine. See docs/harness.md.
package main

import (
	"fmt"
	"os"

	"dynamokv.dev/tests/kubernetes/internal/cli"
	"dynamokv.dev/tests/kubernetes/internal/components"
)

func main() {
	if len(os.Args) < 2 || os.Args[1] == "help" || os.Args[1] == "--help" || os.Args[1] == "-h" {
		cli.Usage(os.Stdout)
		return
	}
	name := os.Args[1]
	switch {
	case cli.Known(name):
		os.Exit(cli.Run(name, os.Args[2:]))
	case components.Known(name):
		if name == "kubectl" || name == "helm" {
			if err := cli.PrepareTool(); err != nil {
				fmt.Fprintf(os.Stderr, "kubebox %s: %v\n", name, err)
				os.Exit(1)
			}
		}
		os.Args = os.Args[1:] // a component reads its own command line
		os.Exit(components.Run(name))
	default:
		fmt.Fprintf(os.Stderr, "kubebox: there is no verb or component %q\n", name)
		cli.Usage(os.Stderr)
		os.Exit(2)
	}
}
