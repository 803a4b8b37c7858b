package process

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"
)

// Wait polls until a condition holds. It gives up when the context ends, or at once when one of the named processes has died: then no
// waiting helps, and its last words tell why.
func (r Registry) Wait(ctx context.Context, what string, names []string, holds func(context.Context) error) error {
	for {
		err := holds(ctx)
		if err == nil {
			return nil
		}
		for _, name := range names {
			if record, found := r.Find(name); found && !record.Alive() {
				return fmt.Errorf("%s has died while waiting for %s; the end of %s:\n%s", name, what, record.Log, tail(record.Log, 12))
			}
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("gave up waiting for %s: %w", what, errors.Join(err, context.Cause(ctx)))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

// tail gives the last lines of a file.
func tail(path string, count int) string {
	text, err := os.ReadFile(path)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-count):], "\n")
}
