// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"encoding/binary"
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/decision"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/edge"
)

const (
	second = int64(1e9)
	ms     = int64(1e6)
	start  = 1_700_000_000 * second
)

func settings() Settings {
	return Settings{
		Lateness: 10 * second, MaxSpans: 20_000, MaxTraceSpans: 100, MaxFailing: 1000,
		Settings: edge.Settings{
			Circuit: &circuit.Config{
				Window: 10 * second, FailureRatio: 0.5, MinimumCalls: 5, Confidence: 3.09, FailureFloor: 0.25,
				FastWindow: 2 * second, FastRatio: 0.9, FastCalls: 20, BaselineFactor: 3, BaselineCap: 0.9,
				LoadConfidence: 5, LoadCalls: 50, SlowRatio: 0.9, SlowCalls: 20,
				CloseRatio: 0.1, ProbeCalls: 10, OpenDuration: 5 * second, MaxOpenDuration: 300 * second,
			},
			Buckets: 10, Bucket: second, MaxEdges: 1000, MaxOperations: 3, Idle: 600 * second, MaxOpenShare: 1,
			SlowFactor: 5, SlowFloor: second, Settling: 5 * second,
		},
	}
}

var resources = []call.Resource{
	{Service: "orders", Host: "a"}, {Service: "gateway", Host: "b"}, {Service: "skewed", Host: "c"}, {Service: "payments", Host: "d"},
}

// run gives the calls to a new engine in batches of n, and returns what it told.
func run(calls []call.Call, n int) (e *Engine, told []string, marked int) {
	e = New(settings(), func(ev decision.Event) { told = append(told, tell(&ev)) })
	for len(calls) > 0 {
		k := min(n, len(calls))
		marked += len(learn(e, calls[:k]))
		calls = calls[k:]
	}
	return e, told, marked
}

func tell(ev *decision.Event) string {
	return fmt.Sprintf("%.2f %s %s %s", float64(ev.At-start)/1e9, ev.Edge.Name, ev.State, ev.Sentence())
}

func learn(e *Engine, calls []call.Call) []Mark {
	return e.Learn(&call.Batch{Resources: resources, Calls: calls}, nil)
}

// steady makes calls of both services, 50 ms apart each; bad(second) says which of them fail.
func steady(from, until int64, bad func(sec int64) bool) (out []call.Call) {
	for at := from; at < until; at += 50e6 {
		for r := range int32(2) {
			c := call.Call{TraceID: id(uint64(at) + uint64(r)), SpanID: uint64(at) + uint64(r), Start: at - 1e6, End: at, Resource: r, Role: call.RoleClient,
				Peer: call.Peer{Kind: call.NodeDatabase, System: "postgresql", Name: "shop"}, Weight: 1}
			if r == 0 && bad((at-start)/second) {
				c.Outcome = call.Fail
			}
			out = append(out, c)
		}
	}
	return out
}

func id(n uint64) (out [16]byte) {
	binary.BigEndian.PutUint64(out[8:], n)
	return out
}

func never(int64) bool                    { return false }
func between(a, b int64) func(int64) bool { return func(s int64) bool { return s >= a && s < b } }

func TestOutage(t *testing.T) {
	_, told, marked := run(steady(start, start+90*second, between(30, 40)), 100)
	require.Len(t, told, 2)
	assert.Equal(t, "32.00 orders->postgresql/shop open Breaker orders->postgresql/shop is open: 100 % of 40 calls failed within 2s.", told[0])
	assert.Contains(t, told[1], "is closed again: ")
	assert.Greater(t, marked, 100)
	_, told, marked = run(steady(start, start+90*second, never), 100)
	assert.Empty(t, told)
	assert.Zero(t, marked)
}

// However the stream is cut, the same is told, down to the numbers.
func TestCutsDoNotMatter(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var calls []call.Call
		at := start
		for range rapid.IntRange(10, 400).Draw(t, "calls") {
			at += rapid.Int64Range(0, 400e6).Draw(t, "gap")
			if rapid.IntRange(0, 99).Draw(t, "jump") == 0 {
				at += rapid.Int64Range(-100*second, 100*second).Draw(t, "by")
			}
			end := at - rapid.Int64Range(0, 3*second).Draw(t, "lag")
			calls = append(calls, call.Call{TraceID: id(uint64(len(calls) + 1)), SpanID: uint64(len(calls) + 1), Start: end - 1e6, End: end, Weight: 1, Role: call.RoleClient,
				Resource: int32(rapid.IntRange(0, 2).Draw(t, "by")),
				ParentID: rapid.SampledFrom([]uint64{0, 1}).Draw(t, "parent"),
				Outcome:  call.Outcome(rapid.SampledFrom([]int{0, 1, 1, 1}).Draw(t, "outcome")),
				Peer:     call.Peer{Kind: call.NodeExternal, Address: "x", Port: int32(rapid.IntRange(1, 2).Draw(t, "port"))}})
		}
		_, whole, marked := run(calls, len(calls))
		for _, n := range []int{1, 7, 100} {
			_, told, m := run(calls, n)
			require.Equal(t, whole, told)
			require.Equal(t, marked, m)
		}
	})
}

// H13, and clocks that are hours wrong: one service's clock moves nobody else's windows.
func TestWrongClocks(t *testing.T) {
	for name, off := range map[string]int64{"ahead": 3600 * second, "behind": -3600 * second} {
		t.Run(name, func(t *testing.T) {
			good := steady(start, start+90*second, between(30, 40))
			var calls []call.Call
			for i, c := range good {
				calls = append(calls, c)
				if i%400 == 399 {
					for k := range 200 { // an export of the one whose clock is wrong
						w := c
						w.Resource, w.SpanID = 2, uint64(i*1000+k)
						w.Start, w.End = w.Start+off, w.End+off
						calls = append(calls, w)
					}
				}
			}
			_, want, _ := run(good, 100)
			e, told, _ := run(calls, 100)
			var others []string
			for _, s := range told {
				assert.NotContains(t, s, "skewed")
				others = append(others, s)
			}
			assert.Equal(t, want, others)
			if off > 0 {
				assert.EqualValues(t, 9*200, e.Counts().Future)
			} else {
				assert.EqualValues(t, 9*200, e.Counts().Results[edge.Late])
			}
		})
	}
}

// The whole world's clock is set back an hour: breakers go on, and are not stuck until the hour is over.
func TestClockSetBack(t *testing.T) {
	calls := steady(start, start+40*second, between(30, 40))
	calls = append(calls, steady(start-3600*second, start-3600*second+400*second, never)...)
	e, told, _ := run(calls, 100)
	assert.Positive(t, e.Counts().Rebased)
	assert.Equal(t, int64(2), e.States()[circuit.Closed], "%v", told)
}

// A long gap in the data: decisions that nobody waited for are not made up for without end.
func TestGap(t *testing.T) {
	calls := steady(start, start+40*second, between(30, 40))
	calls = append(calls, steady(start+500*24*3600*second, start+500*24*3600*second+60*second, never)...)
	e, told, _ := run(calls, 100)
	assert.Equal(t, int64(2), e.States()[circuit.Closed], "%v", told)
}

// Of two that are open, the caller's log records name the one that has been for longer, whichever failed first.
func TestOpenLongest(t *testing.T) {
	var calls []call.Call
	for at := start; at < start+50*second; at += 50 * ms {
		for k, db := range []string{"sporadic", "early"} {
			sec := (at - start) / second
			c := call.Call{TraceID: id(uint64(at)), SpanID: uint64(at) + uint64(k), Start: at - ms, End: at, Role: call.RoleClient,
				Peer: call.Peer{Kind: call.NodeDatabase, System: "postgresql", Name: db}, Weight: 1}
			if k == 0 && (at == start+12*second || sec >= 40) || k == 1 && sec >= 30 {
				c.Outcome = call.Fail
			}
			calls = append(calls, c)
		}
	}
	e, _, _ := run(calls, 64)
	require.EqualValues(t, 2, e.States()[circuit.Open])
	assert.Equal(t, map[uint64]Mark{resources[0].Key(): {Name: "orders->postgresql/early", State: circuit.Open, Reason: "fast_failure_rate"}}, e.Open())
}

// The most in flight are those whose spans overlap, of the edge and the window alone; and the log is not read for each of
// thousands that open at once.
func TestMostInFlight(t *testing.T) {
	f := newFeed(settings())
	db := on(f.Engine, "payments->postgresql/shop")
	from := f.at
	for k := range uint64(7) {
		c := chain(1000+k, f.at, none)
		for i := range c {
			c[i].Start -= second // before the one before it ends
		}
		learn(f.Engine, c)
		f.at += 50 * ms
	}
	f.quiet(second / 2)
	s := f.stories
	s.peaks = 4
	assert.Equal(t, 7, s.mostInFlight(db, from, f.at))
	assert.Equal(t, 1, s.mostInFlight(db, from-10*second, from))
	assert.Equal(t, 3, s.mostInFlight(db, from, from+3*50*ms))
	assert.Zero(t, s.mostInFlight(db, f.at, f.at+second))
	assert.Zero(t, s.mostInFlight(db, from, f.at), "as often as it may be looked for")
}
