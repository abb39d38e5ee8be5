// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Scenarios plays simulated incidents through the processors and judges their verdicts; docs/scenarios.md
// explains the files, the table and the JSON.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/firebreak-otel/firebreak/internal/simulate"
)

type options struct {
	files    string
	out      string
	seeds    int
	full     bool
	parallel int
	rate     float64
	verbose  bool
}

func main() {
	var o options
	flag.StringVar(&o.files, "files", "testdata/scenarios/[0-9]*.yaml", "scenario files, as a glob")
	flag.StringVar(&o.out, "out", "", "write the runs as JSON to this file")
	flag.IntVar(&o.seeds, "seeds", 1, "systems drawn from each scenario")
	flag.BoolVar(&o.full, "full", false, "all axes instead of the default ones")
	flag.IntVar(&o.parallel, "parallel", runtime.NumCPU(), "runs at a time")
	flag.Float64Var(&o.rate, "rate", 0, "only runs at this many traces a second")
	flag.BoolVar(&o.verbose, "v", false, "print each event record of the rca processor")
	flag.Parse()
	debug.SetGCPercent(800) // a run's heap is small and its garbage is not
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, o, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "scenarios:", err)
		os.Exit(1)
	}
}

// task is one run to be done.
type task struct {
	scenario *simulate.Scenario
	axes     simulate.Axes
	seed     uint64
}

// run does all runs, or those that were begun when ctx ends.
func run(ctx context.Context, o options, w io.Writer) error {
	scenarios, err := load(o.files)
	if err != nil {
		return err
	}
	var tasks []task
	for _, sc := range scenarios {
		for _, ax := range plan(sc, o.full) {
			if o.rate != 0 && ax.Rate != o.rate {
				continue
			}
			for seed := range o.seeds {
				tasks = append(tasks, task{sc, ax, uint64(seed) + 1})
			}
		}
	}
	if len(tasks) == 0 {
		return fmt.Errorf("no run is left at -rate %v", o.rate)
	}
	if o.out != "" { // rather than after ten minutes
		f, err := os.Create(o.out)
		if err != nil {
			return err
		}
		f.Close()
	}
	began := time.Now()
	results := make([]row, len(tasks))
	errs := make([]error, len(tasks))
	// The longest first, so that no one waits for the last.
	order := make([]int, len(tasks))
	for i := range order {
		order[i] = i
	}
	slices.SortStableFunc(order, func(a, b int) int { return int(tasks[b].axes.Rate - tasks[a].axes.Rate) })
	next := make(chan int)
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range max(1, o.parallel) {
		wg.Go(func() {
			for i := range next {
				results[i], errs[i] = play(tasks[i], o.verbose)
				mu.Lock()
				done++
				verdict := "ok"
				if !results[i].Pass {
					verdict = "WRONG"
				}
				fmt.Fprintf(os.Stderr, "%4d/%d %6.0fs  %-5s %s  %s  seed %d\n", done, len(tasks), time.Since(began).Seconds(), verdict,
					tasks[i].scenario.Name, results[i].label, tasks[i].seed)
				mu.Unlock()
			}
		})
	}
feed:
	for _, i := range order {
		select {
		case next <- i:
		case <-ctx.Done():
			break feed
		}
	}
	close(next)
	wg.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	if planned := len(results); ctx.Err() != nil {
		results = slices.DeleteFunc(results, func(r row) bool { return r.truth == nil })
		fmt.Fprintf(w, "interrupted: %d of %d runs were done\n\n", len(results), planned)
	}
	sum := summarise(results)
	if o.out != "" {
		if err := writeJSON(o.out, results, sum); err != nil {
			return err
		}
	}
	printTable(w, results, sum, time.Since(began))
	return nil
}

func load(glob string) ([]*simulate.Scenario, error) {
	paths, err := filepath.Glob(glob)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", glob, err)
	}
	if len(paths) == 0 {
		return nil, fmt.Errorf("no file matches %s", glob)
	}
	var all []*simulate.Scenario
	var errs []error
	for _, p := range paths {
		sc, err := simulate.Load(p)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		all = append(all, sc)
	}
	return all, errors.Join(errs...)
}
