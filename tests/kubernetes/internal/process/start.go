package process

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"

	"dynamokv.dev/tests/kubernetes/internal/network"
)

// Spec says what to start.
type Spec struct {
	Name      string
	Namespace string // network namespace; empty for the machine's own
	Args      []string
	Env       []string // in addition to the harness's own
	Log       string   // output is appended here
	Files     []*os.File
}

// Start starts a process that outlives its starter, in a session of its own, and records it.
func (r Registry) Start(spec Spec) error {
	if err := os.MkdirAll(filepath.Dir(spec.Log), 0o755); err != nil {
		return fmt.Errorf("cannot make the folder of logs: %w", err)
	}
	log, err := os.OpenFile(spec.Log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("cannot open the log of %s: %w", spec.Name, err)
	}
	defer func() { _ = log.Close() }()

	command := exec.Command(spec.Args[0], spec.Args[1:]...)
	command.Stdout, command.Stderr = log, log
	command.Env = append(os.Environ(), spec.Env...)
	command.ExtraFiles = spec.Files
	command.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a terminal's Ctrl-C is not for it
	start := command.Start
	if spec.Namespace != "" {
		start = func() error { return network.Within(spec.Namespace, command.Start) }
	}
	if err := start(); err != nil {
		return fmt.Errorf("cannot start %s: %w", spec.Name, err)
	}
	pid := command.Process.Pid
	_, started, statErr := stat(pid)
	// Reaped as soon as it ends, lest a dead process look alive for as long as its starter runs.
	go func() { _ = command.Wait() }()
	if statErr != nil {
		return fmt.Errorf("%s ended as it started; its log is %s", spec.Name, spec.Log)
	}
	return r.write(Record{Name: spec.Name, PID: pid, Started: started, Boot: bootID(), Args: command.Args, Log: spec.Log})
}
