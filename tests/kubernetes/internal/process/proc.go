package process

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

const proc = "/proc"

// bootID tells one boot of the machine from another.
func bootID() string {
	text, err := os.ReadFile(filepath.Join(proc, "sys/kernel/random/boot_id"))
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(text))
}

// CommandLine gives the arguments of a process; none if it has gone, or is a kernel thread or a zombie.
func CommandLine(pid int) []string {
	text, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "cmdline"))
	if err != nil || len(text) == 0 {
		return nil
	}
	return strings.Split(strings.TrimSuffix(string(text), "\x00"), "\x00")
}

// Network gives the identity of a process's network namespace.
func Network(pid int) string {
	identity, err := os.Readlink(filepath.Join(proc, strconv.Itoa(pid), "ns/net"))
	if err != nil {
		return ""
	}
	return identity
}

// PIDs lists all processes.
func PIDs() ([]int, error) {
	entries, err := os.ReadDir(proc)
	if err != nil {
		return nil, fmt.Errorf("cannot list the processes: %w", err)
	}
	var pids []int
	for _, entry := range entries {
		if pid, err := strconv.Atoi(entry.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	return pids, nil
}

// runs says whether the process with this pid and start time exists and is no zombie.
func runs(pid int, started uint64) bool {
	state, found, err := stat(pid)
	return err == nil && found == started && state != 'Z' && state != 'X'
}

// stat reads the state and the start time of a process.
func stat(pid int) (state byte, started uint64, err error) {
	text, err := os.ReadFile(filepath.Join(proc, strconv.Itoa(pid), "stat"))
	if err != nil {
		return 0, 0, err
	}
	return parseStat(string(text))
}

// parseStat takes the third and the twenty-second field. The second, the program's name, may itself hold spaces and parentheses.
func parseStat(line string) (state byte, started uint64, err error) {
	end := strings.LastIndexByte(line, ')')
	if end < 0 {
		return 0, 0, errors.New("no program name in the line")
	}
	fields := strings.Fields(line[end+1:])
	if len(fields) < 20 {
		return 0, 0, fmt.Errorf("only %d fields after the program name", len(fields))
	}
	started, err = strconv.ParseUint(fields[19], 10, 64)
	return fields[0][0], started, err
}
