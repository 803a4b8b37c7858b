package cli

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"

	"dynamokv.dev/tests/kubernetes/internal/cluster"
	"dynamokv.dev/tests/kubernetes/internal/forward"
	"dynamokv.dev/tests/kubernetes/internal/image"
	"dynamokv.dev/tests/kubernetes/internal/provisioner"
)

func writeImage(_ context.Context, _ *cluster.Harness, arguments []string) error {
	return image.Command(arguments)
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
