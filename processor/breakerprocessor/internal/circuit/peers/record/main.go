// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Command record measures what it costs to tell a circuit breaker of one call: ours, gobreaker's and failsafe-go's,
// in one process on one core. Its output is a JSON list of rows; bench, which runs it, prints and judges them.
package main

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"runtime"
	"slices"
	"syscall"
	"time"
)

// row is one way to record, medians over the rounds.
type row struct {
	System      string  `json:"system"`
	Path        string  `json:"path"`
	NsPerOp     float64 `json:"ns_per_op"` // CPU time, garbage collection included
	AllocsPerOp float64 `json:"allocs_per_op"`
}

func main() {
	rounds := flag.Int("rounds", 15, "how many times each path is run")
	calls := flag.Int("calls", 500_000, "recorded in each run")
	flag.Parse()
	if err := run(*rounds, *calls); err != nil {
		fmt.Fprintln(os.Stderr, "record:", err)
		os.Exit(1)
	}
}

func run(rounds, calls int) error {
	if rounds < 1 || calls < window {
		return fmt.Errorf("-rounds is %d and must be at least 1, -calls is %d and must be at least %d: before, windows are not full", rounds, calls, window)
	}
	runtime.GOMAXPROCS(1)
	rows, err := measure(paths(), rounds, calls)
	if err != nil {
		return err
	}
	return json.NewEncoder(os.Stdout).Encode(rows)
}

// measure runs every path once a round; each round begins with another one.
func measure(all []path, rounds, calls int) ([]row, error) {
	ns, allocs := make([][]float64, len(all)), make([][]float64, len(all))
	for round := range rounds {
		for i := range all {
			k := (round + i) % len(all)
			p := &all[k]
			p.run(calls / 5) // what the others drove out of the caches comes back
			runtime.GC()
			var before, after runtime.MemStats
			runtime.ReadMemStats(&before)
			from := cpuTime()
			p.run(calls)
			took := cpuTime() - from
			runtime.ReadMemStats(&after)
			if err := p.check(); err != nil {
				return nil, fmt.Errorf("%s, %s: %w: what was measured is not the breaker at work", p.system, p.name, err)
			}
			ns[k] = append(ns[k], float64(took.Nanoseconds())/float64(calls))
			allocs[k] = append(allocs[k], float64(after.Mallocs-before.Mallocs)/float64(calls))
		}
	}
	rows := make([]row, len(all))
	for k := range all {
		rows[k] = row{all[k].system, all[k].name, median(ns[k]), median(allocs[k])}
	}
	return rows, nil
}

func median(values []float64) float64 {
	slices.Sort(values)
	n := len(values)
	return (values[(n-1)/2] + values[n/2]) / 2
}

// cpuTime is what the process has used so far, in user and system mode.
func cpuTime() time.Duration {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		panic("getrusage: " + err.Error()) // RUSAGE_SELF is always valid
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}
