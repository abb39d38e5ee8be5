// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/firebreak-otel/firebreak/internal/replay"
)

func TestJudge(t *testing.T) {
	blame := func(root, kind string) *incident {
		return &incident{id: "x", findings: []finding{{event: "opened", root: root, kind: kind}}}
	}
	pg := replay.Verdict{Root: "postgresql/shop", Kind: "database"}
	one := replay.Verdict{Root: "shop/orders", Kind: "service", Instance: "orders-2"}
	silent := replay.Verdict{Silent: true}
	tests := []struct {
		name  string
		truth replay.Verdict
		got   output
		wrong string // part of the one complaint
	}{
		{"right", pg, output{incidents: []*incident{blame("postgresql/shop", "database")}}, ""},
		{"right at last", pg, output{incidents: []*incident{{findings: []finding{{root: "shop/orders"}, {root: "postgresql/shop", kind: "database"}, {event: "resolved"}}}}}, ""},
		{"right at first only", pg, output{incidents: []*incident{{findings: []finding{{root: "postgresql/shop", kind: "database"}, {root: "shop/orders"}}}}}, "blames shop/orders"},
		{"another node", pg, output{incidents: []*incident{blame("shop/orders", "service")}}, "blames shop/orders, the truth is postgresql/shop"},
		{"another kind", pg, output{incidents: []*incident{blame("postgresql/shop", "service")}}, "takes postgresql/shop for a service"},
		{"no cause", pg, output{incidents: []*incident{blame("", "")}}, "names no cause"},
		{"nothing", pg, output{}, "no verdict"},
		{"one of two wrong", pg, output{incidents: []*incident{blame("postgresql/shop", "database"), blame("redis/0", "database")}}, "blames redis/0"},
		{"no instance", one, output{incidents: []*incident{blame("shop/orders", "service")}}, "every instance of shop/orders, the truth is instance orders-2"},
		{"an instance too much", pg, output{incidents: []*incident{{findings: []finding{{root: "postgresql/shop", kind: "database", instance: "a"}}}}}, "instance a of postgresql/shop, the truth is every instance"},
		{"another version", replay.Verdict{Root: "a", Kind: "service", Version: "2"}, output{incidents: []*incident{{findings: []finding{{root: "a", kind: "service", version: "1"}}}}}, "version 1 of a, the truth is version 2"},
		{"silence", silent, output{}, ""},
		{"a breaker that closed", silent, output{transitions: []transition{{to: "closed"}}}, ""},
		{"an incident in silence", silent, output{incidents: []*incident{blame("a", "service")}}, "though nothing was wrong"},
		{"a breaker in silence", silent, output{transitions: []transition{{to: "open"}}}, "a breaker opened"},
		{"a breaker seen on spans in silence", silent, output{firstSeen: []transition{{to: "half_open"}}}, "a breaker opened"},
		{"a span lost", silent, output{spans: -1}, "0 spans went in and -1 came out"},
		{"a record twice", silent, output{logs: 1}, "0 log records went in and 1 came out"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			j := judge(&replay.Incident{Truth: replay.Truth{Verdict: tt.truth}}, &tt.got)
			assert.Equal(t, tt.wrong == "", j.right)
			if tt.wrong == "" {
				assert.Empty(t, j.wrong)
			} else if assert.Len(t, j.wrong, 1) {
				assert.Contains(t, j.wrong[0], tt.wrong)
			}
		})
	}
}

func TestOutputCounts(t *testing.T) {
	td, ld := enriched()
	got, _ := through(t, td, ld)
	assert.Equal(t, 3, got.spans)
	assert.Equal(t, 2, got.logs, "our event records are not telemetry that came through")
	assert.Equal(t, 3, got.events)
	assert.Equal(t, 2, got.rcaSpans)
	assert.Equal(t, 1, got.breakerSpans)
	assert.Equal(t, 3, got.annotatedSpans)
	assert.Equal(t, 1, got.annotatedLogs)
	assert.True(t, got.opened())
	assert.Len(t, got.incidents, 1)

	got, _ = through(t, ptrace.NewTraces(), plog.NewLogs())
	assert.Equal(t, &output{}, got)
}

func TestOutputTellsIncidentsApart(t *testing.T) {
	ld := plog.NewLogs()
	events := ld.ResourceLogs().AppendEmpty().ScopeLogs().AppendEmpty().LogRecords()
	for i, id := range []string{"a", "b", "a"} {
		event(events, []string{"opened", "opened", "updated"}[i], 1, "node-of-"+id, "").Attributes().PutStr("rca.incident.id", id)
	}
	got, _ := through(t, ptrace.NewTraces(), ld)
	if assert.Len(t, got.incidents, 2) {
		assert.Len(t, got.incidents[0].findings, 2)
		v, ok := got.incidents[1].verdict()
		assert.True(t, ok)
		assert.Equal(t, "node-of-b", v.root)
	}
}

func TestFirstSeenIsTheEarliestOfEachState(t *testing.T) {
	td := ptrace.NewTraces()
	spans := td.ResourceSpans().AppendEmpty().ScopeSpans().AppendEmpty().Spans()
	for _, s := range []struct {
		end   float64
		state string
	}{{5, "open"}, {3, "open"}, {4, "open"}, {9, "half_open"}} {
		span := spans.AppendEmpty()
		span.SetEndTimestamp(at(s.end))
		span.Attributes().PutStr("breaker.name", "a->b")
		span.Attributes().PutStr("breaker.state", s.state)
	}
	spans.AppendEmpty().Attributes().PutStr("breaker.state", "open")
	got, _ := through(t, td, plog.NewLogs())
	assert.Equal(t, []transition{
		{at: at(3).AsTime(), name: "a->b", to: "open"}, {at: at(9).AsTime(), name: "a->b", to: "half_open"},
	}, got.firstSeen, "a state without a name is no breaker's")
}
