package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"net"
	"os"
	"strings"

	"dynamokv.dev/tests/kubernetes/internal/cluster"
	"dynamokv.dev/tests/kubernetes/internal/forward"
	"dynamokv.dev/tests/kubernetes/internal/image"
	"dynamokv.dev/tests/kubernetes/internal/provisioner"
)

func writeImage(_ context.Context, _ *cluster.Harness, arguments []string) error {
	flags := flag.NewFlagSet("image", flag.ContinueOnError)
	out := flags.String("out", "", "the tar to write")
	tag := flags.String("tag", "", "the image's name, with registry and tag")
	entrypoint := flags.String("entrypoint", "", "what it runs; words are separated by commas (default: the first program)")
	user := flags.Int("user", 65532, "the user and group that it runs as")
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if *out == "" || *tag == "" {
		return errors.New("both --out and --tag are needed")
	}
	spec := image.Spec{Name: *tag, Programs: flags.Args(), User: *user}
	if *entrypoint != "" {
		spec.Entrypoint = strings.Split(*entrypoint, ",")
	}
	return image.Write(*out, spec)
}

// forwardPort runs until it is killed, in the namespace of the target, with the listener that it was given.
func forwardPort(_ context.Context, _ *cluster.Harness, arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("it is started by `kubebox up`")
	}
	file := os.NewFile(forward.ListenerFD, "listener")
	listener, err := net.FileListener(file)
	if err != nil {
		return fmt.Errorf("no listener was handed over: %w", err)
	}
	_ = file.Close()
	return forward.Serve(listener, arguments[0])
}

// provision runs until it is killed.
func provision(ctx context.Context, _ *cluster.Harness, arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("it is started by `kubebox up`")
	}
	return provisioner.Run(ctx, arguments[0], arguments[1])
}
