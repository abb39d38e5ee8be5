// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor

import (
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// hop is one call of a trace, and how it ends when it fails.
type hop struct{ caller, callee, outcome string }

func (h hop) name() string { return h.caller + "->" + h.callee }

var hops = regexp.MustCompile(`^(\S+)->(\S+) (\w+)$`)

func readHops(t *testing.T, text string) (out []hop) {
	for part := range strings.SplitSeq(text, ", ") {
		m := hops.FindStringSubmatch(part)
		require.NotNil(t, m, "can't read %q", part)
		out = append(out, hop{m[1], m[2], m[3]})
	}
	return out
}

// trace adds a request to the first caller that goes all the way down, and fails from the bottom up to where bad
// says it still does. The last callee sends no spans. It returns the calls.
func (s *scene) trace(path []hop, bad func(level int) bool) (calls []ptrace.Span) {
	depth := 0
	nest := func(span ptrace.Span, outcome string, bad bool) ptrace.Span {
		s.time(span, 100*time.Millisecond-time.Duration(depth)*time.Millisecond, time.Duration(depth)*time.Millisecond)
		depth++
		if bad {
			fail(span, outcome)
		}
		return span
	}
	above := nest(s.span(path[0].caller, "1", ptrace.SpanKindServer), path[0].outcome, bad(0))
	for i, h := range path {
		client := nest(s.call(h.caller, "1", h.callee, false), h.outcome, bad(i+1))
		below(client, above)
		calls = append(calls, client)
		if i < len(path)-1 {
			above = nest(s.span(h.callee, "1", ptrace.SpanKindServer), h.outcome, bad(i+1))
			below(above, client)
		}
	}
	return calls
}

func all(bad bool) func(int) bool { return func(int) bool { return bad } }

// H07
func conformOrigin(t *testing.T, c telemetryCase) error {
	given := read[struct{ Trace string }](t, c.Given)
	want := read[struct {
		Charged    string
		Propagated []string
	}](t, c.Expect)
	path := readHops(t, given.Trace)
	s := newScene(t, nil)
	s.every(50*time.Millisecond, time.Minute, func(int) { s.trace(path, all(false)) })
	s.every(50*time.Millisecond, 20*time.Second, func(int) { s.trace(path, all(true)) })
	last := s.trace(path, all(true))
	s.flush()
	origins := map[string][]string{}
	for i, span := range last {
		origin, _ := span.Attributes().Get(keyOrigin)
		origins[origin.AsString()] = append(origins[origin.AsString()], path[i].name())
	}
	if !slices.Equal(origins["self"], []string{want.Charged}) || !slices.Equal(origins["propagated"], want.Propagated) {
		return fmt.Errorf("failures began on %v, and were passed on by %v", origins["self"], origins["propagated"])
	}
	if names := opened(s.told("", "")); !slices.Equal(names, []string{want.Charged}) {
		return fmt.Errorf("%v opened, not %s alone", names, want.Charged)
	}
	return nil
}

// H08
func conformAbsorbed(t *testing.T, c telemetryCase) error {
	given := read[struct{ Parent, Child string }](t, c.Given)
	want := read[struct{ Propagated, Contained bool }](t, c.Expect)
	path := []hop{{"orders", "stock", "503"}}
	s := newScene(t, nil)
	s.every(50*time.Millisecond, time.Minute, func(int) { s.trace(path, all(false)) })
	// Until it is known what became of those that failed.
	s.every(50*time.Millisecond, 10*time.Second, func(int) {
		s.trace(path, func(level int) bool { return []string{given.Parent, given.Child}[level] == "fail" })
	})
	a, ok := s.advice("orders->stock")
	if !ok {
		return fmt.Errorf("no advice: the edge is closed")
	}
	if a.Effects.Propagation != map[bool]float64{true: 1}[want.Propagated] || a.Effects.Fallback != want.Contained {
		return fmt.Errorf("%v of the failures propagate, fallback %v", a.Effects.Propagation, a.Effects.Fallback)
	}
	return nil
}
