// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package breakerprocessor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// H17. Also when those that fail make most of the calls, as one does that retries.
func conformQuorum(t *testing.T, c telemetryCase) error {
	given := read[struct {
		Instances int     `json:"caller_instances"`
		Failing   int     `json:"failing_instances"`
		Rate      float64 `json:"rate_on_it"`
	}](t, c.Given)
	want := read[struct {
		Edge  string
		Event string `json:"instance_event"`
	}](t, c.Expect)
	for _, calls := range []int{1, 2 * given.Instances} {
		s := newScene(t, nil)
		round := func(bad bool) func(int) {
			return func(i int) {
				for k := range given.Instances {
					sick := bad && k < given.Failing
					for n := range map[bool]int{false: 1, true: calls}[sick] {
						s.call("orders", fmt.Sprintf("o%d", k), "stock", sick && nth(i*calls+n, given.Rate))
					}
				}
			}
		}
		s.every(100*time.Millisecond, time.Minute, round(false))
		s.every(100*time.Millisecond, 20*time.Second, round(true))
		if err := sameState(s, "orders->stock", want.Edge); err != nil {
			return fmt.Errorf("%d calls of it for one of another: %w", calls, err)
		}
		if err := sick(s, map[string]string{"caller_instance_degraded": keyDegradedCallers, "": keyDegradedCallers}[want.Event], "o", given.Failing); err != nil {
			return fmt.Errorf("%d calls of it for one of another: %w", calls, err)
		}
	}
	return nil
}

// H18
func conformEject(t *testing.T, c telemetryCase) error {
	given := read[struct {
		Instances int `json:"callee_instances"`
		Failing   int
	}](t, c.Given)
	want := read[struct {
		Edge  string
		Eject int
	}](t, c.Expect)
	s := newScene(t, nil)
	round := func(bad bool) func(int) {
		return func(int) {
			for k := range given.Instances {
				span := s.call("orders", "o1", "stock", bad && k < given.Failing)
				span.Attributes().PutStr("network.peer.address", fmt.Sprintf("10.0.0.%d", k))
			}
		}
	}
	s.every(100*time.Millisecond, time.Minute, round(false))
	s.every(100*time.Millisecond, 20*time.Second, round(true))
	if err := sameState(s, "orders->stock", want.Edge); err != nil {
		return err
	}
	return sick(s, keyEject, "10.0.0.", want.Eject)
}

// sick compares the instances that the last event names: the first n.
func sick(s *scene, key, prefix string, n int) error {
	for _, c := range s.told("", "orders->stock") {
		if c.event == "breaker.state_changed" && c.state == "open" {
			return fmt.Errorf("the edge opened: %v", c)
		}
	}
	var names []string
	for k := range n {
		names = append(names, fmt.Sprint(prefix, k))
	}
	got, want := "", strings.Join(names, ",")
	for _, c := range s.told("breaker.instance_degraded", "orders->stock") {
		got, _ = c.attrs[key].(string)
	}
	if got != want {
		return fmt.Errorf("the sick instances are %q, must be %q", got, want)
	}
	return nil
}

// H27
func conformStall(t *testing.T, c telemetryCase) error {
	given := read[struct {
		Baseline float64 `json:"baseline_per_s"`
		Now      float64 `json:"now_per_s"`
		Received float64 `json:"caller_server_spans_per_s"`
	}](t, c.Given)
	want := read[struct{ State, Signal string }](t, c.Expect)
	s := newScene(t, nil)
	each := time.Duration(float64(time.Second) / given.Received)
	work := func(rate float64) func(int) {
		return func(i int) {
			request := s.span("orders", "o1", ptrace.SpanKindServer)
			for n := range int(rate/given.Received) + 1 {
				if n < int(rate/given.Received) || nth(i, rate/given.Received-float64(n)) {
					below(s.call("orders", "o1", "stock", false), request)
				}
			}
		}
	}
	s.every(each, 2*time.Minute, work(given.Baseline))
	s.every(each, 20*time.Second, work(given.Now))
	return sameSignal(s, "orders->stock", want.State, want.Signal)
}

// H28
func conformBacklog(t *testing.T, c telemetryCase) error {
	given := read[struct {
		Producer string
		Growth   bool `json:"time_in_queue_ms_growth"`
	}](t, c.Given)
	want := read[struct{ State, Signal string }](t, c.Expect)
	s := newScene(t, nil)
	send := func() ptrace.Span {
		span := s.span("orders", "o1", ptrace.SpanKindProducer)
		messaging(span, "send")
		if given.Producer != "ok" {
			fail(span, given.Producer)
		}
		return span
	}
	var sent []ptrace.Span // as they were: what is exported is not ours any more
	wait := 0.0            // in intervals
	work := func(grow float64) func(int) {
		return func(int) {
			kept := ptrace.NewSpan()
			send().CopyTo(kept)
			sent = append(sent, kept)
			for wait += grow; float64(len(sent)) > wait+1; sent = sent[1:] {
				span := s.span("mailer", "m1", ptrace.SpanKindConsumer)
				messaging(span, "process")
				below(span, sent[0])
			}
		}
	}
	s.every(100*time.Millisecond, 2*time.Minute, work(0))
	grow := 0.0
	if given.Growth {
		grow = 0.5 // seconds a second
	}
	s.every(100*time.Millisecond, 2*time.Minute, work(grow))
	return sameSignal(s, "orders->kafka/mails", want.State, want.Signal)
}

func messaging(span ptrace.Span, verb string) {
	attrs := span.Attributes()
	for k, v := range map[string]string{"messaging.system": "kafka", "messaging.destination.name": "mails", "messaging.operation.type": verb} {
		attrs.PutStr(k, v)
	}
	span.SetStartTimestamp(span.EndTimestamp() - pcommon.Timestamp(time.Millisecond))
}

// sameSignal compares the state and the last event.
func sameSignal(s *scene, name, state, signal string) error {
	if err := sameState(s, name, state); err != nil {
		return err
	}
	all := s.told("", name)
	got := ""
	for _, c := range all {
		if over, ok := c.attrs["breaker.over"].(bool); ok && !over {
			got = strings.TrimPrefix(c.event, "breaker.")
		}
		if c.event == "breaker.state_changed" {
			return fmt.Errorf("the state changed: %v", c)
		}
	}
	if got != signal {
		return fmt.Errorf("the signal is %q, must be %q", got, signal)
	}
	return nil
}
