// Package selftest proves on a running cluster what tests will build upon: restricted pods, volumes, DNS, Services, scaling, and that
// nothing stays when all is deleted.
package selftest

import (
	"context"
	_ "embed" // for the manifest
	"errors"
	"fmt"
	"strings"
	"time"
)

const namespace = "kubebox-selftest"

//go:embed pods.yaml
var manifest []byte

// Cluster is what the test needs of one.
type Cluster interface {
	Kubectl(ctx context.Context, input []byte, arguments ...string) (string, error)
	Say(format string, values ...any)
}

// step is one thing to prove, in words.
type step struct {
	what string
	run  func(context.Context) error
}

// Run runs the test, and removes what it made, however it ends.
func Run(ctx context.Context, cluster Cluster) (err error) {
	t := test{cluster}
	defer func() {
		// Also after an interruption: what stays would make the next run fail.
		cleaning, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		_, problem := cluster.Kubectl(cleaning, nil, "delete", "namespace", namespace, "--ignore-not-found")
		err = errors.Join(err, problem)
	}()
	return t.all(ctx, []step{
		{"three restricted pods with volumes are Ready", t.start},
		{"a pod against the rules is refused", t.refusal},
		{"pods find each other by name, and through a Service", t.names},
		{"logs reach the host", t.logs},
		{"a deleted pod comes back to its data", t.comeback},
		{"a volume grows", t.growth},
		{"it scales to five and down to one", t.scaling},
		{"deleting all of it leaves no volume", t.removal},
	})
}

type test struct{ Cluster }

func (t test) all(ctx context.Context, steps []step) error {
	for _, step := range steps {
		limited, cancel := context.WithTimeoutCause(ctx, 2*time.Minute, errors.New("it took more than two minutes"))
		started := time.Now()
		err := step.run(limited)
		cancel()
		if err != nil {
			return fmt.Errorf("could not show that %s: %w", step.what, err)
		}
		t.Say("%s (%.1f s)", step.what, time.Since(started).Seconds())
	}
	return nil
}

func (t test) start(ctx context.Context) error {
	if _, err := t.Kubectl(ctx, manifest, "apply", "--server-side", "-f", "-"); err != nil {
		return err
	}
	return t.rolledOut(ctx)
}

func (t test) rolledOut(ctx context.Context) error {
	_, err := t.in(ctx, "rollout", "status", "statefulset/box", "--timeout=110s")
	return err
}

func (t test) refusal(ctx context.Context) error {
	_, err := t.in(ctx, "run", "root", "--image=kubebox.local/probe:1", "--dry-run=server")
	if err == nil {
		return errors.New("a pod without a security context was accepted")
	}
	if !strings.Contains(err.Error(), "PodSecurity") {
		return err
	}
	return nil
}

func (t test) names(ctx context.Context) error {
	for _, name := range []string{"box-0.box", "box-1.box." + namespace + ".svc.cluster.local", "box-2.box"} {
		if err := t.inPod(ctx, "lookup", name, ""); err != nil {
			return err
		}
	}
	if err := t.inPod(ctx, "get", "http://box-2.box:8080/", "box-2 start 1 as user 65532"); err != nil {
		return err
	}
	return t.inPod(ctx, "get", "http://front/", "as user 65532")
}

func (t test) logs(ctx context.Context) error {
	output, err := t.in(ctx, "logs", "box-1")
	if err == nil && !strings.Contains(output, "box-1 start 1") {
		err = fmt.Errorf("the log of box-1 reads %q", output)
	}
	return err
}

func (t test) comeback(ctx context.Context) error {
	if _, err := t.in(ctx, "delete", "pod", "box-2"); err != nil {
		return err
	}
	if err := t.rolledOut(ctx); err != nil {
		return err
	}
	return t.inPod(ctx, "get", "http://box-2.box:8080/", "box-2 start 2")
}

func (t test) growth(ctx context.Context) error {
	if _, err := t.in(ctx, "patch", "pvc", "data-box-0", "--patch", `{"spec":{"resources":{"requests":{"storage":"20Mi"}}}}`); err != nil {
		return err
	}
	_, err := t.in(ctx, "wait", "pvc/data-box-0", "--for=jsonpath={.status.capacity.storage}=20Mi", "--timeout=60s")
	return err
}

func (t test) scaling(ctx context.Context) error {
	for _, replicas := range []string{"5", "1"} {
		if _, err := t.in(ctx, "scale", "statefulset/box", "--replicas="+replicas); err != nil {
			return err
		}
		if err := t.rolledOut(ctx); err != nil {
			return err
		}
	}
	_, err := t.in(ctx, "wait", "--for=delete", "pod/box-1", "pod/box-2", "pod/box-3", "pod/box-4", "--timeout=60s")
	return err
}

func (t test) removal(ctx context.Context) error {
	if _, err := t.Kubectl(ctx, nil, "delete", "namespace", namespace); err != nil {
		return err
	}
	for {
		output, err := t.Kubectl(ctx, nil, "get", "pv", `--output=jsonpath={range .items[?(@.spec.claimRef.namespace=="`+namespace+`")]}{.metadata.name} {end}`)
		if err != nil || strings.TrimSpace(output) == "" {
			return err
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the volumes %s are still there", output)
		case <-time.After(200 * time.Millisecond):
		}
	}
}

// inPod runs the probe in the first pod until its answer holds what is wanted: Services take a moment to follow their pods.
func (t test) inPod(ctx context.Context, verb, operand, want string) error {
	for {
		output, err := t.in(ctx, "exec", "box-0", "--", "/bin/probe", verb, operand)
		if err == nil && strings.Contains(output, want) {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("`probe %s %s` gave %q and not %q: %w", verb, operand, output, want, errors.Join(err, context.Cause(ctx)))
		case <-time.After(200 * time.Millisecond):
		}
	}
}

func (t test) in(ctx context.Context, arguments ...string) (string, error) {
	return t.Kubectl(ctx, nil, append([]string{"--namespace=" + namespace}, arguments...)...)
}
