// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor

import (
	"fmt"
	"math/rand/v2"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/edge"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/engine"
)

// forget drops what came out, and returns how many spans that was.
func (s *scene) forget() int {
	n := s.traces.SpanCount()
	s.traces.Reset()
	return n
}

func heap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// A hundred thousand new names in a minute, of each kind there is, most of them in failed calls: all spans pass, memory does not
// grow with the names, limits are counted, and the edges that were there before go on as they were.
func TestNameStorms(t *testing.T) {
	for name, tt := range map[string]struct {
		config func(*Config)
		span   func(s *scene, i int) ptrace.Span
		edges  int
		limit  string
	}{
		"callees": {
			span:  func(s *scene, i int) ptrace.Span { return s.call("web", "w1", "callee-"+strconv.Itoa(i), i%3 > 0) },
			edges: 200, limit: "max_edges",
		},
		"callers": {
			span:  func(s *scene, i int) ptrace.Span { return s.call("caller-"+strconv.Itoa(i), "c1", "shop", i%3 > 0) },
			edges: 200, limit: "max_edges",
		},
		"operations": {
			config: func(c *Config) {
				c.Edges = []EdgeConfig{{Caller: "web", ByOperation: true, BreakerConfig: c.BreakerConfig}}
			},
			span: func(s *scene, i int) ptrace.Span {
				span := s.call("web", "w1", "shop", i%3 > 0)
				span.Attributes().PutStr("http.request.method", "GET")
				span.Attributes().PutStr("url.template", "/"+strings.Repeat("x", i%7)+"/o"+strconv.Itoa(i))
				span.SetName("GET /" + strconv.Itoa(i))
				return span
			},
			edges: 3 + 20 + 1, limit: "max_operations", // with the one for all others
		},
		"instances of the caller": {
			span:  func(s *scene, i int) ptrace.Span { return s.call("web", "w"+strconv.Itoa(i), "shop", i%3 > 0) },
			edges: 4,
		},
		"instances of the callee": {
			span: func(s *scene, i int) ptrace.Span {
				span := s.call("web", "w1", "shop", i%3 > 0)
				span.Attributes().PutStr("network.peer.address", fmt.Sprintf("10.%d.%d.%d", i>>16, i>>8&255, i&255))
				return span
			},
			edges: 4,
		},
	} {
		t.Run(name, func(t *testing.T) {
			const names, parts = 100_000, 60
			before := heap()
			s := newScene(t, func(c *Config) {
				c.MaxEdges, c.MaxSpans, c.MaxOpenShare = 200, 5000, 1
				if tt.config != nil {
					tt.config(c)
				}
			})
			both := func(bad bool) {
				s.call("orders", "o1", "down", bad)
				s.call("orders", "o1", "well", false)
				s.idle()
			}
			s.every(50*time.Millisecond, time.Minute, func(int) { both(false) })
			s.every(50*time.Millisecond, 5*time.Second, func(int) { both(true) })
			require.Equal(t, "open", s.state("orders->down"))
			s.forget()
			var early float64
			for part := range parts { // a second each
				in := 0
				for i := range names / parts {
					if i%80 == 0 {
						both(true)
						in += 3
					}
					s.at += time.Second / (names / parts)
					tt.span(s, part*(names/parts)+i)
					in++
				}
				s.flush()
				require.Equal(t, in, s.forget())
				if part == parts/3 {
					early = heap()
				}
			}
			assert.Less(t, (heap()-before)/(early-before), 1.15, "of three times as many names")
			assert.Equal(t, tt.edges, s.edges())
			assert.Equal(t, "open", s.state("orders->down"))
			if tt.limit != "" {
				hits, err := s.tel.GetMetric("otelcol_processor_breaker_limit_hits")
				require.NoError(t, err)
				assert.Contains(t, fmt.Sprintf("%+v", hits.Data), tt.limit)
			}
			s.panics(t, 0)
			// What was there before is still judged by what it does.
			s.every(50*time.Millisecond, 5*time.Second, func(int) {
				s.call("orders", "o1", "down", true)
				s.call("orders", "o1", "well", true)
				s.idle()
			})
			assert.Equal(t, "open", s.state("orders->well"))
		})
	}
}

// shift moves a span in time, as the clock of who made it was wrong by so much.
func shift(span ptrace.Span, by time.Duration) {
	span.SetStartTimestamp(pcommon.NewTimestampFromTime(span.StartTimestamp().AsTime().Add(by)))
	span.SetEndTimestamp(pcommon.NewTimestampFromTime(span.EndTimestamp().AsTime().Add(by)))
}

// One service's clock jumps by hours and, or not, back, in the middle of its own outage and of another's: the other's is
// told as ever, and nothing stays open.
func TestClockJumps(t *testing.T) {
	run := func(t *testing.T, gap time.Duration, off func(at time.Duration) time.Duration) (other []string, s *scene) {
		s = newScene(t, func(c *Config) { c.MaxOpenShare = 1 })
		s.every(gap, 15*time.Minute, func(int) {
			down := s.at >= 120*time.Second && s.at < 150*time.Second
			s.call("orders", "o1", "shop", down)
			s.idle()
			shift(s.call("skewed", "s1", "stock", down), off(s.at))
		})
		for _, state := range []string{s.state("orders->shop"), s.state("skewed->stock")} {
			assert.Contains(t, []string{"closed"}, state)
		}
		for _, c := range s.told("breaker.state_changed", "orders->shop") {
			other = append(other, c.String())
		}
		return other, s
	}
	for _, gap := range []time.Duration{50 * time.Millisecond, time.Second} {
		want, _ := run(t, gap, func(time.Duration) time.Duration { return 0 })
		require.Len(t, want, 2)
		for name, by := range map[string]time.Duration{"ahead": 3 * time.Hour, "behind": -3 * time.Hour} {
			for back, until := range map[string]time.Duration{"and back": 140 * time.Second, "and back when it is over": 200 * time.Second, "for good": time.Hour} {
				t.Run(fmt.Sprintf("%s %s every %v", name, back, gap), func(t *testing.T) {
					got, _ := run(t, gap, func(at time.Duration) time.Duration {
						if at >= 130*time.Second && at < until {
							return by
						}
						return 0
					})
					assert.Equal(t, want, got)
				})
			}
		}
	}
}

// shop is a request that a gateway hands to orders, which asks a database, again when that fails; with an outage of the database.
func (s *scene) request(bad bool) {
	entry := s.span("gateway", "g1", ptrace.SpanKindServer)
	up := s.call("gateway", "g1", "orders", bad)
	below(up, entry)
	answer := s.span("orders", "o1", ptrace.SpanKindServer)
	below(answer, up)
	for range 2 {
		query := s.span("orders", "o1", ptrace.SpanKindClient)
		query.Attributes().PutStr("db.system.name", "postgresql")
		query.Attributes().PutStr("db.namespace", "shop")
		below(query, answer)
		if !bad {
			return
		}
		fail(query, "timeout")
	}
	fail(answer, "500")
	fail(entry, "500")
}

// outageOf plays a minute of health, an outage of the database and two minutes after it; deliver gets each second's batch.
func outageOf(t *testing.T, healthy time.Duration, deliver func(s *scene, td ptrace.Traces)) *scene {
	t.Helper()
	s := newScene(t, nil)
	for end := healthy + 150*time.Second; s.at < end; {
		for range 10 {
			s.at += 100 * time.Millisecond
			s.request(s.at > healthy && s.at <= healthy+20*time.Second)
		}
		td := s.td
		s.begin()
		deliver(s, td)
	}
	return s
}

func (s *scene) deliver(td ptrace.Traces) {
	s.t.Helper()
	require.NoError(s.t, s.push(s.t.Context(), td))
}

// turns are the edges that opened, and those that closed again.
func turns(list []change) (out []string) {
	for _, c := range list {
		if c.state == "open" || c.state == "closed" {
			out = append(out, c.name+" "+c.state)
		}
	}
	return out
}

// Each batch comes twice: the same is told. A duplicate may be missed, but then it is so whatever its outcome: ratios stay.
func TestDuplicates(t *testing.T) {
	once := outageOf(t, time.Minute, (*scene).deliver)
	twice := outageOf(t, time.Minute, func(s *scene, td ptrace.Traces) {
		again := ptrace.NewTraces()
		td.CopyTo(again)
		s.deliver(td)
		s.deliver(again)
	})
	assert.InEpsilon(t, once.result(edge.Counted), twice.result(edge.Counted), 0.01)
	assert.InEpsilon(t, twice.ids, twice.result(edge.Duplicate), 0.01)
	want, got := once.told("", ""), twice.told("", "")
	require.Equal(t, []string{"orders->postgresql/shop open", "orders->postgresql/shop closed"}, turns(want))
	require.Equal(t, turns(want), turns(got))
	require.Len(t, got, len(want))
	for i := range want {
		assert.Equal(t, want[i].at, got[i].at)
		for _, key := range []string{keyFailureRatio, keyEntries, keyPropagation} {
			if want[i].attrs[key] != nil || got[i].attrs[key] != nil {
				assert.InDelta(t, want[i].attrs[key], got[i].attrs[key], 0.002, "%s of %v", key, got[i])
			}
		}
	}
}

// Spans come in any order within a second, and each service's seconds late: the same edge opens, and closes.
func TestOrderOfArrival(t *testing.T) {
	late := map[string]int{"gateway": 0, "orders": 3}
	for name, seed := range map[string]uint64{"a": 1, "b": 2, "c": 3} {
		t.Run(name, func(t *testing.T) {
			r := rand.New(rand.NewPCG(seed, 0))
			if seed == 3 {
				late["gateway"], late["orders"] = 3, 0
			}
			var held []ptrace.Traces
			var due []int
			second := 0
			s := outageOf(t, time.Minute, func(s *scene, td ptrace.Traces) {
				for _, rs := range td.ResourceSpans().All() {
					part := ptrace.NewTraces()
					rs.CopyTo(part.ResourceSpans().AppendEmpty())
					spans := part.ResourceSpans().At(0).ScopeSpans().At(0).Spans()
					order := map[pcommon.SpanID]int{}
					for _, span := range spans.All() {
						order[span.SpanID()] = r.Int()
					}
					spans.Sort(func(a, b ptrace.Span) bool { return order[a.SpanID()] < order[b.SpanID()] })
					by, _ := rs.Resource().Attributes().Get("service.name")
					held, due = append(held, part), append(due, second+late[by.Str()])
				}
				for i := 0; i < len(held); {
					if due[i] > second {
						i++
						continue
					}
					s.deliver(held[i])
					held, due = slices.Delete(held, i, i+1), slices.Delete(due, i, i+1)
				}
				second++
			})
			assert.Equal(t, []string{"orders->postgresql/shop open", "orders->postgresql/shop closed"}, turns(s.told("breaker.state_changed", "")))
		})
	}
}

// What samples before us keeps nothing but traces with failures: nothing opens, and it is said once an edge why. After healthy
// minutes it is an outage.
func TestOnlyFailures(t *testing.T) {
	s := newScene(t, nil)
	s.every(100*time.Millisecond, 5*time.Minute, func(int) { s.request(true) })
	assert.False(t, s.open())
	m, err := s.tel.GetMetric("otelcol_processor_breaker_findings")
	require.NoError(t, err)
	assert.Contains(t, fmt.Sprintf("%+v", m.Data), "only_failures")
	per := map[string]int{}
	for _, c := range s.told("", "") {
		require.Equal(t, "breaker.suppressed", c.event)
		assert.Equal(t, "only_failures", c.attrs[keyWithheld])
		per[c.name]++
	}
	assert.Equal(t, 1, per["orders->postgresql/shop"], "%v", per)
	for name, n := range per {
		assert.Equal(t, 1, n, name)
	}

	s = newScene(t, nil)
	s.every(100*time.Millisecond, 2*time.Minute, func(int) { s.request(false) })
	s.every(100*time.Millisecond, 30*time.Second, func(int) { s.request(true) })
	assert.Equal(t, "open", s.state("orders->postgresql/shop"))
}

// A trace of 100,000 failed spans: it is looked at now and then, at a part of it, and that is said.
func TestHugeTrace(t *testing.T) {
	s := newScene(t, nil)
	s.every(50*time.Millisecond, time.Minute, func(int) { s.request(false) })
	s.forget()
	parent := s.span("gateway", "g1", ptrace.SpanKindServer)
	trace, id := parent.TraceID(), parent.SpanID()
	for i := range 100_000 {
		s.at += 100 * time.Microsecond
		span := s.call("gateway", "g1", "orders", true)
		span.SetTraceID(trace)
		span.SetParentSpanID(id)
		if i%5 == 0 { // a chain, too
			id = span.SpanID()
		}
		if i%1000 == 999 {
			s.flush()
		}
	}
	assert.Equal(t, 100_001, s.forget())
	var counts engine.Counts
	s.every(50*time.Millisecond, time.Minute, func(int) { s.idle() })
	s.core(func(e *engine.Engine) { counts = e.Counts() })
	assert.Less(t, counts.Looks, int64(200), "10 seconds of it, and a while after")
	assert.Positive(t, counts.Unfound, "spans that were left out")
	assert.Zero(t, counts.Skipped)
}

// A tracer that gives each span the same trace id, for hours: what opens and closes is the same as with an id each.
func TestOneTraceID(t *testing.T) {
	run := func(same bool) (out []string) {
		s := newScene(t, func(c *Config) { c.MaxSpans = 5000 })
		s.every(500*time.Millisecond, 3*time.Hour, func(int) {
			hour := s.at % time.Hour
			span := s.call("orders", "o1", "shop", hour > 30*time.Minute && hour < 31*time.Minute)
			if same {
				span.SetTraceID(pcommon.TraceID{1})
			}
			if s.at%time.Hour == 0 {
				s.forget()
			}
		})
		assert.False(t, s.open())
		return turns(s.told("breaker.state_changed", ""))
	}
	want := run(false)
	require.Len(t, want, 6)
	assert.Equal(t, want, run(true))
}
