// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"io/fs"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/firebreak-otel/firebreak/internal/replay"
)

const (
	incidentEvents = "rca.incident." // + opened, updated or resolved
	resolved       = "resolved"
	breakerEvents  = "breaker."
	breakerEvent   = breakerEvents + "state_changed"
)

// output is what the collector wrote, as far as a reader wants to know.
type output struct {
	spans, logs    int // telemetry that came through; event records of ours are not counted
	events         int // event records of ours
	rcaSpans       int // spans with rca.* attributes
	breakerSpans   int // spans with breaker.* attributes
	annotatedSpans int // spans with either
	annotatedLogs  int
	incidents      []*incident  // in the order of their first event
	transitions    []transition // of breakers, from event records
	firstSeen      []transition // of breakers, from spans: the first with each name and state

	span  exampleSpan  // the most telling enriched span
	event exampleEvent // the most telling event record
}

type exampleSpan struct {
	found    bool
	score    int // how telling
	resource pcommon.Resource
	span     ptrace.Span
}

type exampleEvent struct {
	found    bool
	score    int
	resource pcommon.Resource
	record   plog.LogRecord
}

// transition is a breaker's change of state.
type transition struct {
	at             time.Time
	name, from, to string
	ratio          float64 // failures of the calls in the window, 0..1
	requests       int64   // in the window
}

func readOutput(f files) (*output, error) {
	traces, err := replay.ReadTraces(f.traces)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	logs, err := replay.ReadLogs(f.logs)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	o := &output{}
	seen := map[[2]string]int{}
	for _, td := range traces {
		for _, rs := range td.ResourceSpans().All() {
			for _, ss := range rs.ScopeSpans().All() {
				for _, span := range ss.Spans().All() {
					o.addSpan(rs.Resource(), span, seen)
				}
			}
		}
	}
	for _, ld := range logs {
		for _, rl := range ld.ResourceLogs().All() {
			for _, sl := range rl.ScopeLogs().All() {
				for _, lr := range sl.LogRecords().All() {
					o.addRecord(rl.Resource(), lr)
				}
			}
		}
	}
	return o, nil
}

func (o *output) addSpan(res pcommon.Resource, span ptrace.Span, seen map[[2]string]int) {
	o.spans++
	rca, breaker := ours(span.Attributes())
	if rca > 0 {
		o.rcaSpans++
	}
	if breaker > 0 {
		o.breakerSpans++
		o.seeBreaker(span, seen)
	}
	if rca+breaker == 0 {
		return
	}
	o.annotatedSpans++
	score := rca + breaker
	if str(span.Attributes(), "rca.role") == "root_cause" {
		score += 100
	}
	if score > o.span.score {
		o.span = exampleSpan{true, score, res, span}
	}
}

// seeBreaker keeps the earliest span with each name and state.
func (o *output) seeBreaker(span ptrace.Span, seen map[[2]string]int) {
	t := transition{at: span.EndTimestamp().AsTime(), name: str(span.Attributes(), "breaker.name"), to: str(span.Attributes(), "breaker.state")}
	if t.name == "" || t.to == "" {
		return
	}
	key := [2]string{t.name, t.to}
	i, ok := seen[key]
	if !ok {
		seen[key] = len(o.firstSeen)
		o.firstSeen = append(o.firstSeen, t)
	} else if t.at.Before(o.firstSeen[i].at) {
		o.firstSeen[i] = t
	}
}

func (o *output) addRecord(res pcommon.Resource, lr plog.LogRecord) {
	name := lr.EventName()
	switch {
	case strings.HasPrefix(name, incidentEvents):
		o.events++
		o.addFinding(lr)
		score := lr.Attributes().Len()
		if name != incidentEvents+resolved {
			score += 100
		}
		o.exampleRecord(res, lr, score)
	case name == breakerEvent:
		o.events++
		m := lr.Attributes()
		o.transitions = append(o.transitions, transition{
			at: lr.Timestamp().AsTime(), name: str(m, "breaker.name"),
			from: str(m, "breaker.previous_state"), to: str(m, "breaker.state"),
			ratio: number(m, "breaker.failure.ratio"), requests: int64(number(m, "breaker.window.requests")),
		})
		o.exampleRecord(res, lr, 1)
	case strings.HasPrefix(name, breakerEvents):
		o.events++
	default:
		o.logs++
		if rca, breaker := ours(lr.Attributes()); rca+breaker > 0 {
			o.annotatedLogs++
		}
	}
}

func (o *output) exampleRecord(res pcommon.Resource, lr plog.LogRecord, score int) {
	if score > o.event.score {
		o.event = exampleEvent{true, score, res, lr}
	}
}

// opened says whether any breaker left the closed state.
func (o *output) opened() bool {
	for _, ts := range [][]transition{o.transitions, o.firstSeen} {
		for _, t := range ts {
			if t.to != "closed" {
				return true
			}
		}
	}
	return false
}

// ours counts the attributes that each processor wrote.
func ours(m pcommon.Map) (rca, breaker int) {
	for k := range m.All() {
		switch {
		case strings.HasPrefix(k, "rca."):
			rca++
		case strings.HasPrefix(k, "breaker."):
			breaker++
		}
	}
	return rca, breaker
}

func str(m pcommon.Map, key string) string {
	v, ok := m.Get(key)
	if !ok {
		return ""
	}
	return v.AsString()
}

func number(m pcommon.Map, key string) float64 {
	v, ok := m.Get(key)
	if !ok {
		return 0
	}
	if v.Type() == pcommon.ValueTypeInt {
		return float64(v.Int())
	}
	return v.Double()
}

func list(m pcommon.Map, key string) []pcommon.Value {
	v, ok := m.Get(key)
	if !ok || v.Type() != pcommon.ValueTypeSlice {
		return nil
	}
	out := make([]pcommon.Value, 0, v.Slice().Len())
	for _, e := range v.Slice().All() {
		out = append(out, e)
	}
	return out
}
