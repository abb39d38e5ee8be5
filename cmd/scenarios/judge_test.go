// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/firebreak-otel/firebreak/internal/simulate"
)

const (
	zero = int64(1_000_000) * int64(time.Second)
	sec  = int64(time.Second)
)

// said is an incident's word at a time after zero.
func said(id, event string, at int64, root string, candidates ...string) record {
	return record{event: event, id: id, onset: zero, seen: zero + at*sec, root: root, kind: "db_slow", score: 0.9, candidates: candidates}
}

func task1(truth simulate.Truth) task {
	return task{
		scenario: &simulate.Scenario{
			Name: "x", Warmup: time.Minute, Duration: time.Minute, Truth: &truth,
			System: simulate.System{Namespace: "shop", Services: map[string]*simulate.Service{"orders": {}}},
		},
		axes: simulate.Axes{Rate: 20, Logs: true}, seed: 3,
	}
}

func TestJudge(t *testing.T) {
	db := simulate.Truth{Roots: []simulate.Root{{Node: "postgresql/orders", Accept: []string{"pg"}, Kind: []string{"db_slow"}}}}
	two := simulate.Truth{Roots: []simulate.Root{{Node: "postgresql/orders", Kind: []string{"db_slow"}}, {Node: "orders", Kind: []string{"code_error"}}}}
	pod := simulate.Truth{Roots: []simulate.Root{{Node: "orders", Kind: []string{"db_slow"}, Instance: "orders-2"}}}
	early := said("a", "opened", -30, "postgresql/orders", "postgresql/orders")
	early.onset = zero - 40*sec
	exact := said("a", "opened", 9, "shop/orders", "shop/orders")
	exact.instance = "orders-2"
	tests := []struct {
		name        string
		truth       simulate.Truth
		records     []record
		pass        bool
		rank, wrong int
		right       float64 // -1: never
		kind, drill bool
	}{
		{"right at once", db, []record{said("a", "opened", 12, "postgresql/orders", "postgresql/orders")}, true, 1, 0, 12, true, true},
		{"by another name", db, []record{said("a", "opened", 12, "pg", "pg")}, true, 1, 0, 12, true, true},
		{"right in the end", db, []record{
			said("a", "opened", 12, "shop/orders", "shop/orders", "postgresql/orders"),
			said("a", "updated", 40, "postgresql/orders", "postgresql/orders", "shop/orders"), said("a", "resolved", 90, "postgresql/orders"),
		}, true, 1, 0, 40, true, true},
		{"wrong in the end", db, []record{
			said("a", "opened", 12, "postgresql/orders", "postgresql/orders"), said("a", "updated", 40, "shop/orders", "shop/orders", "postgresql/orders"),
		}, false, 2, 1, -1, false, false},
		{"nothing said", db, nil, false, 0, 0, -1, false, false},
		{"not among the candidates", db, []record{said("a", "opened", 12, "shop/orders", "shop/orders")}, false, 0, 1, -1, false, false},
		{"unknown", db, []record{said("a", "opened", 12, "unknown")}, false, 0, 0, -1, false, false},
		{"before it began", db, []record{early}, false, 0, 1, -1, false, false},
		{"twice the same", db, []record{
			said("a", "opened", 12, "postgresql/orders", "postgresql/orders"), said("b", "opened", 30, "postgresql/orders", "postgresql/orders"),
		}, false, 1, 1, 12, true, true},
		{"one more", db, []record{
			said("a", "opened", 12, "postgresql/orders", "postgresql/orders"), said("b", "opened", 30, "shop/orders", "shop/orders"),
		}, false, 1, 1, 12, true, true},
		{"one of two", two, []record{said("a", "opened", 12, "postgresql/orders", "postgresql/orders", "shop/orders")}, false, 2, 0, -1, false, false},
		{"both", two, []record{
			said("a", "opened", 12, "postgresql/orders", "postgresql/orders"), said("b", "opened", 20, "shop/orders", "shop/orders"),
		}, true, 1, 0, 20, false, true},
		{"the service without its pod", pod, []record{said("a", "opened", 9, "shop/orders", "shop/orders")}, true, 1, 0, 9, true, false},
		{"the pod", pod, []record{exact}, true, 1, 0, 9, true, true},
		{"silence kept", simulate.Truth{Silent: true}, nil, true, 0, 0, -1, false, false},
		{"silence broken", simulate.Truth{Silent: true}, []record{said("a", "opened", 12, "unknown")}, false, 0, 1, -1, false, false},
		{"unknown is right", simulate.Truth{Unknown: true}, []record{said("a", "opened", 12, "unknown")}, true, 0, 0, -1, false, false},
		{"a guess is not", simulate.Truth{Unknown: true}, []record{said("a", "opened", 12, "shop/orders")}, false, 0, 1, -1, false, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := judge(task1(tt.truth), zero, tt.records)
			assert.Equal(t, tt.pass, r.Pass)
			assert.Equal(t, tt.rank, r.Rank)
			assert.Equal(t, tt.wrong, r.FalseIncidents)
			assert.Equal(t, tt.kind, r.kindRight)
			assert.Equal(t, tt.drill, r.drill)
			if tt.right < 0 {
				assert.Nil(t, r.RightAfter)
			} else if assert.NotNil(t, r.RightAfter) {
				assert.InDelta(t, tt.right, *r.RightAfter, 1e-9)
			}
		})
	}
}

func TestPlan(t *testing.T) {
	rates := func(all []simulate.Axes) (out []float64) {
		for _, a := range all {
			out = append(out, a.Rate)
		}
		return out
	}
	free := &simulate.Scenario{}
	assert.Equal(t, []float64{20, 500}, rates(plan(free, false)))
	full := plan(free, true)
	assert.Equal(t, []float64{1, 20, 500, 20, 20, 20, 20, 20, 20}, rates(full))
	seen := map[string]bool{}
	for _, a := range full {
		assert.False(t, seen[label(a)], "twice: %s", label(a))
		seen[label(a)] = true
		assert.Equal(t, a.Rate >= busyRate, a.Warmup > 0, "busy runs are cut short")
	}
	bound := &simulate.Scenario{Axes: simulate.AxisLists{Rate: []float64{5}, Skew: []time.Duration{5 * time.Second}, Logs: []bool{true}, Severity: []string{"full"}}}
	all := plan(bound, true)
	assert.Equal(t, []float64{5, 5, 5, 5}, rates(all), "sampling, loss and disorder are left to vary")
	for _, a := range all {
		assert.Equal(t, 5*time.Second, a.Skew)
		assert.True(t, a.Logs)
	}
}

func TestSummary(t *testing.T) {
	v := func(x float64) *float64 { return &x }
	root, two, none := &simulate.Truth{Roots: make([]simulate.Root, 1)}, &simulate.Truth{Roots: make([]simulate.Root, 2)}, &simulate.Truth{Silent: true}
	s := summarise([]row{
		{Scenario: "a", truth: root, Pass: true, Rank: 1, Kind: "k", Confidence: 0.95, RightAfter: v(10), kindRight: true, drills: true, drill: true, rate: 500},
		{Scenario: "a", truth: root, Rank: 2, Kind: "k", Confidence: 0.85, FalseIncidents: 1, drills: true, rate: 500},
		{Scenario: "a", truth: root, rate: 500},
		{Scenario: "b", truth: two, Pass: true, Rank: 1, Kind: "k", Confidence: 0.5, RightAfter: v(30), rate: 20},
		{Scenario: "c", truth: none, Pass: true, days: 3.5},
		{Scenario: "c", truth: none, FalseIncidents: 2, days: 3.5},
	})
	assert.Equal(t, 6, s.Runs)
	assert.Equal(t, 3, s.Passed)
	assert.InDelta(t, 1.0/3, *s.First, 1e-3)
	assert.InDelta(t, 2.0/3, *s.WithinThree, 1e-3)
	assert.InDelta(t, 1, *s.ExactSet, 1e-9)
	assert.InDelta(t, 0.25, *s.KindRight, 1e-9)
	assert.InDelta(t, 0.5, *s.DrillRight, 1e-9)
	assert.InDelta(t, 0.5, *s.SilentRight, 1e-9)
	assert.InDelta(t, 2, *s.FalsePerWeek, 1e-9)
	assert.InDelta(t, 10, *s.RightAfterP95, 1e-9, "only busy runs count")
	assert.InDelta(t, 0.5, *s.WrongAtHigh, 1e-9)
	assert.Equal(t, bin{0.8, 1, 2, 1}, s.Reliability[4])
	assert.Equal(t, bin{0.4, 0.6, 1, 1}, s.Reliability[2])
	assert.Equal(t, []string{"a", "c"}, s.FailedArchetype, "right in half of the runs is not most")
}
