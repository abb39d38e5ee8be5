// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Command bench feeds the same spans to our processors and to their peers, in one process on one core,
// and prints what a span costs in each; and what it costs to tell a breaker of a call, ours and others'.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"runtime"
	"runtime/pprof"
	"slices"
	"strings"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run() (err error) {
	out := flag.String("out", os.Getenv("OUT"), "also write the rows as JSON to this `file` (environment: OUT)")
	rounds := flag.Int("rounds", 7, "how many times each component is run")
	seconds := flag.Int("seconds", 60, "of event time in each run")
	only := flag.String("only", "", "run only these `components`, separated by commas; "+recordPath+" is the record path of breakers")
	profile := flag.String("cpuprofile", "", "write a CPU profile to this `file`; its tag \"component\" tells whose work it is")
	flag.Parse()
	if *rounds < 1 || *seconds < 30 {
		return fmt.Errorf("-rounds is %d and must be at least 1, -seconds is %d and must be at least 30: before, less is analysed than fed", *rounds, *seconds)
	}
	chosen, alsoRecord, err := choose(*only)
	if err != nil {
		return err
	}
	if *profile != "" {
		stop, err := startProfile(*profile)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, stop()) }()
	}

	runtime.GOMAXPROCS(1)
	r, err := compare(chosen, newPool(tracesPerSecond), *rounds, *seconds)
	if err != nil {
		return err
	}
	if alsoRecord {
		if r.Record, err = measureRecord(); err != nil {
			return err
		}
		if err := r.Record.writeTable(os.Stdout); err != nil {
			return err
		}
	}
	if len(chosen) > 0 {
		if err := r.writeTable(os.Stdout, *rounds, runtime.GOMAXPROCS(0)); err != nil {
			return err
		}
	}
	if *out != "" {
		if err := writeFile(*out, r); err != nil {
			return err
		}
	}
	if alsoRecord {
		return r.Record.verify()
	}
	return nil
}

// choose returns the named candidates in their usual order, and whether the record path is named as well; all for
// no name.
func choose(names string) (chosen []candidate, alsoRecord bool, err error) {
	if names == "" {
		return candidates, true, nil
	}
	wanted := strings.Split(names, ",")
	if i := slices.Index(wanted, recordPath); i >= 0 {
		wanted, alsoRecord = slices.Delete(wanted, i, i+1), true
	}
	for _, c := range candidates {
		if i := slices.Index(wanted, c.name); i >= 0 {
			wanted = slices.Delete(wanted, i, i+1)
			chosen = append(chosen, c)
		}
	}
	if len(wanted) > 0 {
		return nil, false, fmt.Errorf("-only: there is no component %q", wanted[0])
	}
	return chosen, alsoRecord, nil
}

// compare runs every candidate once a round; each round begins with another one.
func compare(chosen []candidate, p *pool, rounds, seconds int) (*report, error) {
	costs := make([][]cost, len(chosen))
	for round := range rounds {
		for i := range chosen {
			k := (round + i) % len(chosen)
			c, err := measure(&chosen[k], p, seconds)
			if err != nil {
				return nil, err
			}
			costs[k] = append(costs[k], c)
			fmt.Fprintf(os.Stderr, "round %d of %d: %-13s %5.0f ns/span\n", round+1, rounds, chosen[k].name, c.ns)
		}
	}
	r := &report{}
	for k := range chosen {
		r.Rows = append(r.Rows, newRow(chosen[k].name, costs[k]))
	}
	return r, nil
}

func writeFile(name string, r *report) (err error) {
	f, err := os.Create(name)
	if err != nil {
		return fmt.Errorf("-out: %w", err)
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	return r.writeJSON(f)
}

func startProfile(name string) (stop func() error, err error) {
	f, err := os.Create(name)
	if err != nil {
		return nil, fmt.Errorf("-cpuprofile: %w", err)
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() error {
		pprof.StopCPUProfile()
		return f.Close()
	}, nil
}
