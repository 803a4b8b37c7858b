package cli

import (
	"context"
	"flag"

	"dynamokv.dev/tests/kubernetes/internal/cluster"
	"dynamokv.dev/tests/kubernetes/internal/selftest"
)

func selfTest(ctx context.Context, harness *cluster.Harness, arguments []string) error {
	flags := flag.NewFlagSet("selftest", flag.ContinueOnError)
	faults := flags.Bool("faults", false, "also let a node fail and come back (two minutes more)")
	if err := parse(flags, arguments, 0); err != nil {
		return err
	}
	if err := harness.RequireUp(); err != nil {
		return err
	}
	if err := selftest.Run(ctx, harness); err != nil {
		return err
	}
	if *faults {
		if err := harness.Drill(ctx); err != nil {
			return err
		}
		// What was proven before must hold after.
		if err := selftest.Run(ctx, harness); err != nil {
			return err
		}
	}
	harness.Say("the self-test passed")
	return nil
}
