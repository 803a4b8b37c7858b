package cli

import (
	"context"
	"errors"

	"dynamokv.dev/tests/kubernetes/internal/cluster"
)

func selfTest(context.Context, *cluster.Harness, []string) error { return errors.New("soon") }
