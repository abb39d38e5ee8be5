// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/decision"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/edge"
)

// H19. Each rate for a minute; nobody stops calling.
func conformHysteresis(t *testing.T, c telemetryCase) error {
	given, want := read[struct{ Rates []float64 }](t, c.Given), read[[]string](t, c.Expect)
	s := newScene(t, nil)
	s.every(50*time.Millisecond, time.Minute, func(int) { s.call("orders", "o1", "stock", false); s.idle() })
	for i, rate := range given.Rates {
		s.every(50*time.Millisecond, time.Minute, func(i int) {
			s.call("orders", "o1", "stock", nth(i, rate))
			s.idle()
		})
		if err := sameState(s, "orders->stock", want[i]); err != nil {
			return fmt.Errorf("at %v: %w", rate, err)
		}
	}
	closed := 0
	for _, c := range s.told("breaker.state_changed", "orders->stock") {
		if c.state == "closed" {
			closed++
		}
	}
	if closed > 1 {
		return fmt.Errorf("it flaps: closes %d times", closed)
	}
	return nil
}

// H20, H21, H22
func conformAfterWait(t *testing.T, c telemetryCase) error {
	given := read[struct {
		State string
		After struct {
			Calls int
			Rate  float64
		} `json:"observed_after_wait"`
	}](t, c.Given)
	state, further, _ := strings.Cut(read[string](t, c.Expect), " ")
	const name, gap = "orders->stock", 50 * time.Millisecond
	s := newScene(t, func(cfg *Config) { cfg.OpenDuration = 20 * time.Second })
	s.every(gap, time.Minute, func(int) { s.call("orders", "o1", "stock", false); s.idle() })
	a, ok := s.outage(name, gap, func() { s.call("orders", "o1", "stock", true); s.idle() })
	if !ok || a.State != given.State {
		return fmt.Errorf("it did not open")
	}
	first := time.Duration(a.Until - a.Since)
	s.every(gap, time.Duration(a.Until-epoch.UnixNano())-s.at, func(int) {
		s.idle()
		if given.After.Calls > 0 { // else everybody obeys
			s.call("orders", "o1", "stock", true)
		}
	})
	// So many calls in a window, and on at that rate until it holds no other.
	made, ticks := 0, int(10*time.Second/gap)
	s.every(gap, 12*time.Second, func(i int) {
		s.idle()
		for ; made < given.After.Calls*(i+1)/ticks; made++ {
			s.call("orders", "o1", "stock", nth(made, given.After.Rate))
		}
	})
	if err := sameState(s, name, state); err != nil {
		return err
	}
	a, _ = s.advice(name)
	switch {
	case state == "half_open":
		if a.AdmitShare != ramp[0] {
			return fmt.Errorf("admits %v, must admit %v", a.AdmitShare, ramp[0])
		}
		s.every(time.Second, 5*time.Minute, func(int) { s.idle() })
		if err := sameState(s, name, state); err != nil {
			return fmt.Errorf("after five silent minutes: %w", err)
		}
	case further == "(attempt+1)":
		if longer := time.Duration(a.Until - a.Since); a.Attempt != 1 || longer <= first {
			return fmt.Errorf("attempt %d, for %v after %v", a.Attempt, longer, first)
		}
	}
	want := "open"
	if state != want { // without half_open, where nobody obeys
		want += " " + state
	}
	var got []string
	for _, c := range s.told("breaker.state_changed", name) {
		got = append(got, c.state)
	}
	if strings.Join(got, " ") != want {
		return fmt.Errorf("told %v, must tell %s", got, want)
	}
	return nil
}

// H23
func conformExpiry(t *testing.T, c telemetryCase) error {
	given := read[struct {
		Decision string
		TTL      int64 `json:"ttl_ms"`
		Age      int64 `json:"age_ms"`
	}](t, c.Given)
	s := newScene(t, nil)
	s.every(50*time.Millisecond, 20*time.Second, func(int) { s.call("orders", "o1", "stock", false); s.idle() })
	a, _ := s.outage("orders->stock", 50*time.Millisecond, func() { s.call("orders", "o1", "stock", true); s.idle() })
	if a.State != given.Decision {
		return fmt.Errorf("decided %s, must decide %s", a.State, given.Decision)
	}
	if given.TTL*1e6 != decision.TTL {
		return fmt.Errorf("an advice holds for %v ms, not %d", decision.TTL/1e6, given.TTL)
	}
	got := decision.Allow
	if share := a.AdmitAt(a.Expires + (given.Age-given.TTL)*1e6); share == 0 {
		got = decision.Reject
	} else if share < 1 {
		got = decision.Probe
	}
	if want := read[string](t, c.Expect); got != want {
		return fmt.Errorf("%d ms old it says %s, must say %s", given.Age, got, want)
	}
	// It is renewed as time goes by.
	s.every(100*time.Millisecond, time.Second, func(int) { s.idle() })
	if b, _ := s.advice("orders->stock"); b.Expires <= a.Expires || b.Expires > epoch.Add(s.at).UnixNano()+decision.TTL+1e9 {
		return fmt.Errorf("a second later it expires after %v", time.Duration(b.Expires-a.Expires))
	}
	return nil
}

// H24
func conformCap(t *testing.T, c telemetryCase) error {
	given := read[struct {
		Edges, Open int
		Max         float64 `json:"max_open_share"`
	}](t, c.Given)
	outcome, event, _ := strings.Cut(read[string](t, c.Expect), ", event ")
	s := newScene(t, func(cfg *Config) { cfg.MaxOpenShare = given.Max })
	caller := func(k int) string { return fmt.Sprintf("s%d", k) }
	round := func(failing int) func(int) {
		return func(int) {
			for k := range given.Edges {
				s.call(caller(k), "1", "to-"+caller(k), k < failing)
			}
		}
	}
	s.every(50*time.Millisecond, time.Minute, round(0))
	s.every(50*time.Millisecond, 4*time.Second, round(given.Open))
	for k := range given.Open {
		if err := sameState(s, caller(k)+"->to-"+caller(k), "open"); err != nil {
			return err
		}
	}
	s.every(50*time.Millisecond, 10*time.Second, round(given.Open+1))
	next := caller(given.Open) + "->to-" + caller(given.Open)
	want := map[string]string{"suppressed": "closed"}[outcome]
	if want == "" {
		want = outcome
	}
	if err := sameState(s, next, want); err != nil {
		return err
	}
	var got []string
	for _, c := range s.told("", next) {
		if c.event == event && c.attrs[keyWithheld] == edge.Capped.String() {
			return nil
		}
		got = append(got, c.String())
	}
	if event != "" {
		return fmt.Errorf("no %s, only %v", event, got)
	}
	return nil
}

// H25. There is no other mode: what is decided is told, and no call is stopped.
func conformObserve(t *testing.T, c telemetryCase) error {
	if mode := read[struct{ Mode string }](t, c.Given).Mode; mode != "observe" {
		return fmt.Errorf("no such mode: %q", mode)
	}
	want := read[struct {
		Decision *string
		Event    string
		Enforced bool
	}](t, c.Expect)
	s := newScene(t, nil)
	sent := 0
	work := func(bad bool) func() {
		return func() { s.call("orders", "o1", "stock", bad); s.idle(); sent += 2 }
	}
	s.every(50*time.Millisecond, 20*time.Second, func(int) { work(false)() })
	a, _ := s.outage("orders->stock", 50*time.Millisecond, work(true))
	s.every(50*time.Millisecond, 3*time.Second, func(int) { work(true)() })
	if s.traces.SpanCount() != sent || want.Decision != nil {
		return fmt.Errorf("%d spans came out of %d", s.traces.SpanCount(), sent)
	}
	told := s.told("", "")
	if len(told) != 1 || told[0].event != want.Event || told[0].state != circuit.Open.String() {
		return fmt.Errorf("told %v", told)
	}
	if got, ok := told[0].attrs[keyEnforced].(bool); !ok || got != want.Enforced || a.Enforced != want.Enforced {
		return fmt.Errorf("breaker.enforced is %v", told[0].attrs[keyEnforced])
	}
	return nil
}

// H26
func conformWarmUp(t *testing.T, c telemetryCase) error {
	given := read[struct {
		Uptime int `json:"uptime_ms"`
		Window int `json:"window_ms"`
		Rate   float64
	}](t, c.Given)
	uptime, window := time.Duration(given.Uptime)*time.Millisecond, time.Duration(given.Window)*time.Millisecond
	s := newScene(t, func(cfg *Config) { cfg.Window.Duration = window })
	work := func(i int) { s.call("orders", "o1", "stock", nth(i, given.Rate)); s.idle() }
	s.every(50*time.Millisecond, uptime, work)
	if err := sameState(s, "orders->stock", read[string](t, c.Expect)); err != nil {
		return err
	}
	s.every(50*time.Millisecond, window-uptime+5*time.Second, work)
	told := s.told("", "orders->stock")
	if len(told) == 0 || told[0].state != "open" {
		return fmt.Errorf("it is not the start that kept it closed: %v", told)
	}
	if at := told[0].at.Sub(epoch); at < window {
		return fmt.Errorf("told after %v: %v", at, told[0])
	}
	return nil
}

// H30
func conformIdle(t *testing.T, c telemetryCase) error {
	given := read[struct {
		State string
		Idle  int `json:"idle_ms"`
	}](t, c.Given)
	want := read[string](t, c.Expect)
	idle := time.Duration(given.Idle) * time.Millisecond
	s := newScene(t, func(cfg *Config) { cfg.IdleTimeout = idle })
	s.every(50*time.Millisecond, 20*time.Second, func(int) { s.call("orders", "o1", "stock", false); s.idle() })
	if a, _ := s.outage("orders->stock", 50*time.Millisecond, func() { s.call("orders", "o1", "stock", true); s.idle() }); a.State != given.State {
		return fmt.Errorf("it did not open")
	}
	s.every(time.Second, idle-2*time.Second, func(int) { s.idle() })
	kept := s.state("orders->stock") != "closed" && s.edges() == 2
	s.every(time.Second, 2*time.Minute, func(int) { s.idle() })
	gone := s.state("orders->stock") == "closed" && s.edges() == 1
	got := ""
	if kept && gone {
		got = "kept until ttl, then closed and evicted"
	}
	if told := s.told("", "orders->stock"); got != want || told[len(told)-1].state != "closed" {
		return fmt.Errorf("kept: %v, gone then: %v, told %v", kept, gone, told)
	}
	return nil
}
