// Package cli is the command line of the harness.
package cli

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"sort"
	"strings"
	"syscall"

	"dynamokv.dev/tests/kubernetes/internal/check"
	"dynamokv.dev/tests/kubernetes/internal/cluster"
	"dynamokv.dev/tests/kubernetes/internal/image"
	"dynamokv.dev/tests/kubernetes/internal/layout"
	"dynamokv.dev/tests/kubernetes/internal/state"
)

// verb is one thing that a person can ask for.
type verb struct {
	arguments string
	meaning   string
	run       func(ctx context.Context, harness *cluster.Harness, arguments []string) error
	inner     bool // started by the harness itself
}

func verbs() map[string]verb {
	return map[string]verb{
		"up":          {"[--nodes 1..3] [--zones=false] [--dns-cache]", "start a cluster, or find it up", up, false},
		"down":        {"", "take it down and leave nothing behind", down, false},
		"status":      {"", "tell how it is", status, false},
		"check":       {"", "say what this machine lacks", checkMachine, false},
		"load":        {"IMAGE.tar...", "put images into every node", load, false},
		"node":        {"stop|start|partition|heal N", "make a node fail, or bring it back", node, false},
		"kubeconfig":  {"", "print the path of the administrator's kubeconfig", kubeconfig, false},
		"logs":        {"DIR", "gather all logs in a folder", logs, false},
		"image":       {image.Usage, "write a container image", writeImage, false},
		"selftest":    {"[--faults]", "prove on the running cluster that pods, volumes and DNS work", selfTest, false},
		"forward":     {"TARGET HOME", "", forwardPort, true},
		"provisioner": {"KUBECONFIG DIR", "", provision, true},
	}
}

// Known says whether there is a verb of this name.
func Known(name string) bool {
	_, found := verbs()[name]
	return found
}

// Run runs a verb and gives the exit code.
func Run(name string, arguments []string) int {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP)
	defer stop()
	harness, err := cluster.Open()
	if err == nil {
		err = verbs()[name].run(ctx, harness, arguments)
	}
	switch {
	case err == nil:
		return 0
	case errors.Is(err, flag.ErrHelp):
		return 0
	}
	fmt.Fprintf(os.Stderr, "kubebox %s: %v\n", name, err)
	return 1
}

// PrepareTool makes kubectl and helm, which this process is about to become, use the cluster. KUBEBOX_KUBECONFIG names another cluster's
// kubeconfig, for machines where these two are not installed.
func PrepareTool() error {
	if other := os.Getenv("KUBEBOX_KUBECONFIG"); other != "" {
		return os.Setenv("KUBECONFIG", other)
	}
	harness, err := cluster.Open()
	if err != nil {
		return err
	}
	if _, err := os.Stat(harness.Home().Kubeconfig()); err != nil {
		return cluster.ErrNotUp
	}
	for _, setting := range harness.ToolEnvironment() {
		name, value, _ := strings.Cut(setting, "=")
		if value == "" {
			err = os.Unsetenv(name)
		} else {
			err = os.Setenv(name, value)
		}
		if err != nil {
			return fmt.Errorf("cannot set %s: %w", name, err)
		}
	}
	return nil
}

// Usage tells what can be asked for.
func Usage(out io.Writer) {
	_, _ = fmt.Fprintln(out, "kubebox: a whole Kubernetes in one binary, and the harness that runs it on a bare Linux machine")
	var names []string
	for name, verb := range verbs() {
		if !verb.inner {
			names = append(names, name)
		}
	}
	sort.Strings(names)
	for _, name := range names {
		_, _ = fmt.Fprintf(out, "  %-40s %s\n", strings.TrimSpace(name+" "+verbs()[name].arguments), verbs()[name].meaning)
	}
	_, _ = fmt.Fprintln(out, "  kubectl|helm ARGUMENTS...                run the tool on the cluster")
	_, _ = fmt.Fprintln(out, "The components (etcd, kube-apiserver, kubelet, ...) are run by their names too.")
}

func up(ctx context.Context, harness *cluster.Harness, arguments []string) error {
	flags := flag.NewFlagSet("up", flag.ContinueOnError)
	nodes := flags.Int("nodes", layout.MaxNodes, "number of nodes, 1 to 3")
	zones := flags.Bool("zones", true, "give each node a zone of its own: a, b, c")
	dnsCache := flags.Bool("dns-cache", false, "let the cluster's DNS keep answers for 30 s, as in production")
	if err := parse(flags, arguments, 0); err != nil {
		return err
	}
	return harness.Up(ctx, state.Shape{Nodes: *nodes, Zones: *zones, DNSCache: *dnsCache}, flags.NFlag() == 0)
}

func down(ctx context.Context, harness *cluster.Harness, arguments []string) error {
	if err := parse(flag.NewFlagSet("down", flag.ContinueOnError), arguments, 0); err != nil {
		return err
	}
	return harness.Down(ctx)
}

func status(ctx context.Context, harness *cluster.Harness, arguments []string) error {
	if err := parse(flag.NewFlagSet("status", flag.ContinueOnError), arguments, 0); err != nil {
		return err
	}
	return harness.Status(ctx, os.Stdout)
}

func checkMachine(_ context.Context, harness *cluster.Harness, arguments []string) error {
	if err := parse(flag.NewFlagSet("check", flag.ContinueOnError), arguments, 0); err != nil {
		return err
	}
	_, missing := check.Machine(string(harness.Home()))
	for _, sentence := range missing {
		fmt.Println(sentence)
	}
	if len(missing) > 0 {
		return errors.New("this machine cannot run a cluster yet")
	}
	fmt.Println("This machine can run a cluster.")
	return nil
}

func load(ctx context.Context, harness *cluster.Harness, arguments []string) error {
	return harness.Load(ctx, arguments)
}

func node(ctx context.Context, harness *cluster.Harness, arguments []string) error {
	if len(arguments) != 2 {
		return errors.New("say what to do to which node: stop, start, partition or heal, and the node's number")
	}
	return harness.Do(ctx, cluster.Fault(arguments[0]), arguments[1])
}

func kubeconfig(_ context.Context, harness *cluster.Harness, arguments []string) error {
	if err := parse(flag.NewFlagSet("kubeconfig", flag.ContinueOnError), arguments, 0); err != nil {
		return err
	}
	if err := harness.RequireUp(); err != nil {
		return err
	}
	fmt.Println(harness.Home().Kubeconfig())
	return nil
}

func logs(ctx context.Context, harness *cluster.Harness, arguments []string) error {
	if len(arguments) != 1 {
		return errors.New("name the folder to gather the logs in")
	}
	folder, err := filepath.Abs(arguments[0])
	if err != nil {
		return fmt.Errorf("cannot make an absolute path of %s: %w", arguments[0], err)
	}
	if err := harness.Logs(ctx, folder); err != nil {
		return err
	}
	fmt.Println(folder)
	return nil
}

// parse parses flags and insists on the number of arguments beside them.
func parse(flags *flag.FlagSet, arguments []string, rest int) error {
	if err := flags.Parse(arguments); err != nil {
		return err
	}
	if flags.NArg() != rest {
		return fmt.Errorf("it takes no arguments such as %q", strings.Join(flags.Args(), " "))
	}
	return nil
}
