// Package process starts the programs of a cluster, remembers them on disk, and ends exactly those again.
package process

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sort"
	"strings"
)

// Record is what is remembered of a process: enough to know it again with certainty, since a pid alone may be another's by now.
type Record struct {
	Name    string   `json:"name"`
	PID     int      `json:"pid"`
	Started uint64   `json:"started"` // in clock ticks since the boot
	Boot    string   `json:"boot"`
	Args    []string `json:"args"`
	Log     string   `json:"log"`
}

// Registry is a folder of records.
type Registry struct{ folder string }

// NewRegistry uses a folder, which need not exist yet.
func NewRegistry(folder string) Registry { return Registry{folder: folder} }

func (r Registry) path(name string) string { return filepath.Join(r.folder, name+".json") }

func (r Registry) write(record Record) error {
	text, err := json.Marshal(record)
	if err != nil {
		return fmt.Errorf("cannot record the process %s: %w", record.Name, err)
	}
	if err := os.MkdirAll(r.folder, 0o755); err != nil {
		return fmt.Errorf("cannot make the folder of process records: %w", err)
	}
	if err := os.WriteFile(r.path(record.Name), text, 0o644); err != nil {
		return fmt.Errorf("cannot record the process %s: %w", record.Name, err)
	}
	return nil
}

// Find gives the record of a process; false if none of this name was started.
func (r Registry) Find(name string) (Record, bool) {
	text, err := os.ReadFile(r.path(name))
	if err != nil {
		return Record{}, false
	}
	var record Record
	if err := json.Unmarshal(text, &record); err != nil {
		return Record{}, false // cut short by a crash: as good as none
	}
	return record, true
}

// All gives every record, by name.
func (r Registry) All() ([]Record, error) {
	entries, err := os.ReadDir(r.folder)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cannot list the process records: %w", err)
	}
	var records []Record
	for _, entry := range entries {
		if record, found := r.Find(strings.TrimSuffix(entry.Name(), ".json")); found {
			records = append(records, record)
		}
	}
	sort.Slice(records, func(i, j int) bool { return records[i].Name < records[j].Name })
	return records, nil
}

// Forget removes the record of a process.
func (r Registry) Forget(name string) { _ = os.Remove(r.path(name)) }

// Alive says whether the recorded process still runs.
func (r Record) Alive() bool { return r.Boot == bootID() && runs(r.PID, r.Started) }

// ours is asked before a signal is sent, so it also wants the command line to be the recorded one. (Alive does not: for a moment after
// its start a process has none.)
func (r Record) ours() bool { return r.Alive() && slices.Equal(CommandLine(r.PID), r.Args) }
