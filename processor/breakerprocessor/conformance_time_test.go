// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/watermark"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/edge"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/engine"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/inflight"
)

// H11, H12, H13
func conformTime(t *testing.T, c telemetryCase) error {
	given := read[struct {
		Window int `json:"window_ms"`
		Now    int `json:"now_ms"`
		End    int `json:"end_ms"`
	}](t, c.Given)
	ms := func(n int) time.Duration { return time.Duration(n) * time.Millisecond }
	s := newScene(t, func(cfg *Config) { cfg.Window.Duration = ms(given.Window) })
	s.every(100*time.Millisecond, ms(given.Now), func(int) { s.call("orders", "o1", "stock", false) })
	var before, after engine.Counts
	s.core(func(e *engine.Engine) { before = e.Counts() })
	span := s.call("orders", "o1", "stock", false)
	s.time(span, s.at-ms(given.End)+time.Millisecond, s.at-ms(given.End))
	var b call.Batch
	b.Read(s.td)
	s.flush()
	s.core(func(e *engine.Engine) { after = e.Counts() })
	counted := after.Results[edge.Counted] - before.Results[edge.Counted]

	// Which bucket it is in does not show from outside: the same, by the clock and the table that the engine has.
	set := s.engine.cfg.settings()
	clock, table := watermark.NewClock(set.Lateness), edge.NewTable(set.Settings)
	now := epoch.Add(ms(given.Now)).UnixNano()
	clock.Observe(now, 1)
	table.Advance(now)
	at, _ := clock.Observe(b.Calls[0].End, 1)
	on, _, _ := table.Record(&b.Calls[0], table.Service(b.Resources[0].Key(), &b.Resources[0]), nil, at)
	in := func(from int64) uint32 { return on.Sums(from, from+set.Bucket).Calls }

	var second, skewed int64
	want := read[string](t, c.Expect)
	switch {
	case want == "late_dropped":
		if late := after.Results[edge.Late] - before.Results[edge.Late]; late != 1 || counted != 0 || on.Sums(now-1e12, now+1e12).Calls != 0 {
			return fmt.Errorf("%d counted, %d late", counted, late)
		}
	case scan(want, "counted in the %d s bucket", &second):
		if n := in(epoch.Unix()*1e9 + second*1e9); n != 1 || counted != 1 {
			return fmt.Errorf("%d counted, %d there", counted, n)
		}
	case scan(want, "counted at now, skew counter +%d", &skewed):
		if n, future := in(now), after.Future-before.Future; n != 1 || counted != 1 || future != skewed {
			return fmt.Errorf("%d counted, %d there, %d skewed", counted, n, future)
		}
	default:
		return fmt.Errorf("can't read %q", want)
	}
	return nil
}

func scan(text, format string, n *int64) bool {
	_, err := fmt.Sscanf(text, format, n)
	return err == nil
}

// H14
func conformDuplicate(t *testing.T, c telemetryCase) error {
	given := read[struct {
		Spans int
		Same  bool `json:"same_span_id"`
	}](t, c.Given)
	for _, together := range []bool{true, false} {
		s := newScene(t, nil)
		for i := range given.Spans {
			span := s.call("orders", "o1", "stock", true)
			if given.Same {
				span.SetTraceID([16]byte{1})
				span.SetSpanID([8]byte{2})
			}
			if !together || i == given.Spans-1 {
				s.flush()
			}
		}
		want := read[int](t, c.Expect)
		if got, more := s.result(edge.Counted), s.result(edge.Duplicate); got != want || got+more != given.Spans {
			return fmt.Errorf("%d counted, %d duplicates; must count %d", got, more, want)
		}
	}
	return nil
}

// H15, H16
func conformPair(t *testing.T, c telemetryCase) error {
	given := read[struct{ Spans []string }](t, c.Given)
	if strings.HasPrefix(string(c.Expect), "{") {
		return conformCaller(t, given.Spans, read[struct{ Caller string }](t, c.Expect).Caller)
	}
	want := read[int](t, c.Expect)
	// However they come: both in one export, or either first.
	for _, order := range []string{"together", "caller first", "callee first"} {
		const times = 200
		s := newScene(t, nil)
		s.every(100*time.Millisecond, 20*time.Second, func(int) { s.idle() })
		before := s.result(edge.Counted)
		for range times {
			s.at += 50 * time.Millisecond
			exports := s.pair(given.Spans, order != "together")
			if order == "callee first" {
				slices.Reverse(exports)
			}
			for _, td := range exports {
				require.NoError(t, s.push(t.Context(), td))
			}
		}
		s.begin()
		if got := s.result(edge.Counted) - before; got != want*times {
			return fmt.Errorf("%s: %d times it counts %d", order, times, got)
		}
		if err := sameState(s, "orders->stock", "open"); err != nil { // the caller failed, the callee did not
			return fmt.Errorf("%s: %w", order, err)
		}
	}
	return nil
}

// pair makes the spans of both sides of a call, of which the caller's failed; apart: in an export each.
func (s *scene) pair(kinds []string, apart bool) (exports []ptrace.Traces) {
	var last ptrace.Span
	for i, kind := range kinds {
		if apart || i == 0 {
			s.begin()
			exports = append(exports, s.td)
		}
		var span ptrace.Span
		if side, child := strings.CutSuffix(kind, " child"); side == "CLIENT" {
			span = s.call("orders", "o1", "stock", false)
			fail(span, "timeout")
		} else if span = s.span("stock", "s1", spanKinds[side]); child {
			below(span, last)
		}
		last = span
	}
	return exports
}

// conformCaller: a callee whose callers send no spans.
func conformCaller(t *testing.T, spans []string, caller string) error {
	s := newScene(t, nil)
	work := func(bad bool) func(int) {
		return func(int) {
			s.idle()
			for _, kind := range spans {
				side, _, _ := strings.Cut(kind, " ")
				if span := s.span("stock", "s1", spanKinds[side]); bad {
					fail(span, "500")
				}
			}
		}
	}
	s.every(50*time.Millisecond, time.Minute, work(false))
	s.every(50*time.Millisecond, 10*time.Second, work(true))
	for _, c := range s.told("breaker.state_changed", "") {
		if c.state == "open" && c.attrs[keyCaller] == caller && c.attrs[keyCallee] == "stock" {
			return nil
		}
	}
	return fmt.Errorf("nothing opens between %s and stock", caller)
}

// H29
func conformInFlight(t *testing.T, c telemetryCase) error {
	given := read[struct{ Spans [][2]int64 }](t, c.Given)
	require.NotEmpty(t, given.Spans)
	var calls []inflight.Interval
	var busy, first, last int64 = 0, given.Spans[0][0], 0
	for _, s := range given.Spans {
		calls = append(calls, inflight.Interval{Start: s[0], End: s[1]})
		busy, first, last = busy+s[1]-s[0], min(first, s[0]), max(last, s[1])
	}
	if got, want := inflight.Max(calls), read[int](t, c.Expect); got != want {
		return fmt.Errorf("%d in flight at most, must be %d", got, want)
	}
	if mean, little := inflight.Mean(calls), inflight.Little(busy, last-first); mean != little {
		return fmt.Errorf("%v in flight on average by their intervals, %v by Little's law", mean, little)
	}
	return nil
}
