package process

import (
	"fmt"
	"os"
	"syscall"
	"time"
)

// Kill ends a recorded process at once, if it is still the one that was recorded, and forgets it.
func (r Registry) Kill(name string) error {
	record, found := r.Find(name)
	if !found {
		return nil
	}
	for range 100 { // it may have been started this instant
		if !record.Alive() || len(CommandLine(record.PID)) > 0 {
			break
		}
		time.Sleep(time.Millisecond)
	}
	if err := kill(record.PID, record.ours); err != nil {
		return fmt.Errorf("cannot end %s (pid %d): %w", name, record.PID, err)
	}
	r.Forget(name)
	return nil
}

// KillMatching ends every listed process that still matches, and waits until all of them have gone.
func KillMatching(pids []int, matches func(pid int) bool) error {
	for _, pid := range pids {
		if err := kill(pid, func() bool { return matches(pid) }); err != nil {
			return fmt.Errorf("cannot end the process %d: %w", pid, err)
		}
	}
	return nil
}

// kill opens the process first and looks at it then: what was looked at is what gets the signal, even if the pid is given away meanwhile.
func kill(pid int, isOurs func() bool) error {
	process, err := os.FindProcess(pid)
	if err != nil {
		return nil
	}
	defer func() { _ = process.Release() }()
	if !isOurs() {
		return nil
	}
	_, started, err := stat(pid)
	if err != nil {
		return nil // gone meanwhile
	}
	if err := process.Signal(syscall.SIGKILL); err != nil && err != os.ErrProcessDone {
		return err
	}
	// A killed process can take a while to die on a busy machine, and what it holds cannot be cleared away before.
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if !runs(pid, started) {
			return nil
		}
	}
	return fmt.Errorf("it got SIGKILL 10 s ago and still runs")
}
