// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/firebreak-otel/firebreak/internal/simulate"
)

// Runs at many traces a second are cut short: they say in seconds what slow ones say in minutes.
const (
	busyRate     = 100
	busyWarmup   = 90 * time.Second
	busyDuration = 45 * time.Second
)

// plan is the axes that a scenario is run at. Each axis leaves its usual value alone, not all at once: what
// matters is what one of them breaks.
func plan(sc *simulate.Scenario, full bool) []simulate.Axes {
	usual := func(rate float64) simulate.Axes {
		a := simulate.Axes{Rate: rate, Sampling: first(sc.Axes.Sampling, 1), Skew: first(sc.Axes.Skew, 0), Loss: first(sc.Axes.Loss, 0), Disorder: first(sc.Axes.Disorder, 0), Logs: first(sc.Axes.Logs, true)}
		a.Mild = len(sc.Axes.Severity) == 1 && sc.Axes.Severity[0] == "mild"
		return a
	}
	rates := sc.Axes.Rate
	if len(rates) == 0 {
		rates = []float64{20, 500}
		if full {
			rates = []float64{1, 20, 500}
		}
	}
	var all []simulate.Axes
	for _, rate := range rates {
		all = append(all, usual(rate))
	}
	if full {
		base := usual(rates[0])
		if slices.Contains(rates, 20) {
			base = usual(20)
		}
		add := func(allowed bool, change func(*simulate.Axes)) {
			if a := base; allowed {
				change(&a)
				all = append(all, a)
			}
		}
		ax := &sc.Axes
		add(allows(ax.Sampling, 0.25), func(a *simulate.Axes) { a.Sampling = 0.25 })
		add(allows(ax.Skew, 2*time.Second), func(a *simulate.Axes) { a.Skew = 2 * time.Second })
		add(allows(ax.Loss, 0.02), func(a *simulate.Axes) { a.Loss = 0.02 })
		add(allows(ax.Disorder, 5*time.Second), func(a *simulate.Axes) { a.Disorder = 5 * time.Second })
		add(allows(ax.Logs, false), func(a *simulate.Axes) { a.Logs = false })
		add(allows(ax.Severity, "mild"), func(a *simulate.Axes) { a.Mild = true })
	}
	for i := range all {
		if all[i].Rate >= busyRate {
			all[i].Warmup, all[i].Duration = busyWarmup, busyDuration
		}
	}
	return all
}

func first[T any](list []T, otherwise T) T {
	if len(list) > 0 {
		return list[0]
	}
	return otherwise
}

func allows[T comparable](list []T, v T) bool {
	return len(list) == 0 || len(list) > 1 && slices.Contains(list, v)
}

// label is the axes for people: what is not usual.
func label(a simulate.Axes) string {
	parts := []string{strconv.FormatFloat(a.Rate, 'g', -1, 64) + "/s"}
	if a.Sampling > 0 && a.Sampling < 1 {
		parts = append(parts, "sampled "+strconv.FormatFloat(100*a.Sampling, 'g', 3, 64)+"%")
	}
	if a.Skew > 0 {
		parts = append(parts, "skew "+a.Skew.String())
	}
	if a.Loss > 0 {
		parts = append(parts, "loss "+strconv.FormatFloat(100*a.Loss, 'g', 3, 64)+"%")
	}
	if a.Disorder > 0 {
		parts = append(parts, "disorder "+a.Disorder.String())
	}
	if !a.Logs {
		parts = append(parts, "no logs")
	}
	if a.Mild {
		parts = append(parts, "mild")
	}
	return strings.Join(parts, ", ")
}
