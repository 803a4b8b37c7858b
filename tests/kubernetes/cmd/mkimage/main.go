// Command mkimage writes container images as `kubebox image` does. It is a program of its own because it builds in seconds: who tests on
// kind needs images, and not the whole of Kubernetes.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"

	"dynamokv.dev/tests/kubernetes/internal/image"
)

func main() {
	if err := image.Command(os.Args[1:]); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "mkimage:", err)
		os.Exit(1)
	}
}
