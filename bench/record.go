// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"slices"
	"text/tabwriter"
)

const (
	// recordPath is the name, for -only, of what it costs to tell a breaker of one call.
	recordPath = "record"
	// recordModule is the only one that may import our breaker and those of others.
	recordModule = "../processor/breakerprocessor/internal/circuit/peers"

	// A call on a hot edge may take us recordLimit nanoseconds on a machine where recordPeer takes recordPeerTakes;
	// on a slower one as much more as it takes the peer.
	recordLimit     = 60.0
	recordPeerTakes = 65.0
	// Fewer allocations a call than rareAlloc are those of the decisions, which are made every 250 calls, not of a call.
	rareAlloc = 0.005
)

var (
	recordPeer = [2]string{"failsafe-go", "record"}
	// recordHot is the path of ours with a limit of time.
	recordHot = [2]string{"firebreak", "edge, ok"}
)

// recordRow is one way to tell a breaker of a call, medians over the rounds.
type recordRow struct {
	System      string  `json:"system"`
	Path        string  `json:"path"`
	NsPerOp     float64 `json:"ns_per_op"`
	AllocsPerOp float64 `json:"allocs_per_op"`
}

// measureRecord runs the benchmark of the record path, a program of another module.
func measureRecord() (records, error) {
	c := exec.Command("go", "run", "-C", recordModule, "./record")
	c.Stderr = os.Stderr
	out, err := c.Output()
	if err != nil {
		return nil, fmt.Errorf("go run ./record in %s: %w", recordModule, err)
	}
	var rows records
	if err := json.Unmarshal(out, &rows); err != nil {
		return nil, fmt.Errorf("go run ./record in %s: %w", recordModule, err)
	}
	return rows, nil
}

// records are the paths of all systems.
type records []recordRow

func (all records) find(name [2]string) *recordRow {
	i := slices.IndexFunc(all, func(r recordRow) bool { return [2]string{r.System, r.Path} == name })
	if i < 0 {
		return nil
	}
	return &all[i]
}

// limit is how many nanoseconds a call may take us on this machine.
func (all records) limit() float64 {
	p := all.find(recordPeer)
	if p == nil {
		return recordLimit
	}
	return recordLimit * math.Max(1, p.NsPerOp/recordPeerTakes)
}

// verify says which of our paths is too slow, or allocates.
func (all records) verify() error {
	var errs []error
	switch r := all.find(recordHot); {
	case r == nil:
		errs = append(errs, fmt.Errorf("record path %s, %s was not measured", recordHot[0], recordHot[1]))
	case r.NsPerOp > all.limit():
		errs = append(errs, fmt.Errorf("record path %s, %s takes %.1f ns a call, may take %.1f", r.System, r.Path, r.NsPerOp, all.limit()))
	}
	for _, r := range all {
		if r.System == recordHot[0] && r.AllocsPerOp >= rareAlloc {
			errs = append(errs, fmt.Errorf("record path %s, %s makes %.3f allocations a call, may make none", r.System, r.Path, r.AllocsPerOp))
		}
	}
	return errors.Join(errs...)
}

func (all records) writeTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 3, ' ', 0)
	fmt.Fprintf(t, "record path\t\tCPU ns/op\tallocs/op\tto %s %s\n", recordPeer[0], recordPeer[1])
	p := all.find(recordPeer)
	for _, r := range all {
		ratio := "-"
		if p != nil {
			ratio = fmt.Sprintf("%.2f", r.NsPerOp/p.NsPerOp)
		}
		fmt.Fprintf(t, "%s\t%s\t%9.1f\t%9.2f\t%s\n", r.System, r.Path, r.NsPerOp, r.AllocsPerOp, ratio)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	_, err := fmt.Fprintf(w, "Limit of %s, %s on this machine now: %.1f ns; of all of ours: no allocations. bench/README.md says how it is found.\n\n",
		recordHot[0], recordHot[1], all.limit())
	return err
}
