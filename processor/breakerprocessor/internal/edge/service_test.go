// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor/internal/circuit"
)

// H15: one call, two spans, whichever comes first; and the address becomes the service.
func TestClientWinsAndAddressIsLearned(t *testing.T) {
	for _, serverFirst := range []bool{false, true} {
		t.Run(fmt.Sprint("server first: ", serverFirst), func(t *testing.T) {
			w := warm(testSettings())
			w.by("catalog")
			for i := range 40 {
				w.at(w.now + second)
				c := w.client(address("10.0.0.7", 8080+int32(i%2)), call.OK)
				s := w.server(c)
				if serverFirst {
					w.record("catalog", s)
				}
				w.record("orders", c)
				if !serverFirst {
					w.record("catalog", s)
				}
			}
			assert.Equal(t, []string{"orders->catalog"}, w.names(), "two replicas, one edge")
			e, _ := w.record("orders", w.client(address("10.0.0.7", 8081), call.OK))
			assert.Equal(t, call.NodeService, e.Callee.Kind)
			assert.Equal(t, 2, w.aliasCount)
			assert.EqualValues(t, 12, w.total(e).Calls, "eleven buckets, one call each, and this one")
			other, _ := w.record("gateway", w.client(address("10.0.0.7", 8080), call.OK))
			assert.Equal(t, "gateway->10.0.0.7:8080", other.Name(), "what one caller means by an address another need not")
		})
	}
}

// An address behind which several services answer stays an address.
func TestAddressOfSeveralServices(t *testing.T) {
	w := warm(testSettings())
	for i := range 20 {
		c := w.client(address("ingress", 80), call.OK)
		s := w.server(c)
		w.record("app", c)
		w.record([]string{"catalog", "orders"}[i%2], s)
	}
	e, _ := w.record("app", w.client(address("ingress", 80), call.OK))
	assert.Equal(t, "app->ingress", e.Name())
	assert.Zero(t, w.aliasCount)
}

// What was seen under the address is not lost, nor is an open breaker.
func TestRenameKeepsStateAndMerges(t *testing.T) {
	w := warm(testSettings())
	for range 100 {
		w.at(w.now + second/20)
		w.record("orders", w.client(address("10.0.0.7", 1), call.Fail))
	}
	require.Equal(t, []string{"orders->10.0.0.7:1 open failure_rate"}, w.events)
	for range 10 {
		w.record("orders", w.client(named("catalog"), call.OK))
	}
	c := w.client(address("10.0.0.7", 1), call.Fail)
	w.record("catalog", w.server(c))
	e, _ := w.record("orders", c)
	assert.Equal(t, "orders->catalog", e.Name())
	assert.Equal(t, []string{"orders->catalog"}, w.names())
	assert.Equal(t, circuit.Open, e.Breaker.State())
	assert.Equal(t, circuit.FailureRate, e.Hot.Cause.Reason)
	assert.EqualValues(t, 111, w.total(e).Calls)
	assert.Equal(t, []*Edge{e}, w.Active())
	assert.Equal(t, 1, w.open)
	w.run(25*second, func(int) { w.record("orders", w.client(named("catalog"), call.OK)) })
	assert.Contains(t, w.events, "orders->catalog closed recovered")
	assert.Zero(t, w.open)
}

// H16 and the second witness: a service whose callers send no spans is its own witness, after a window.
func TestServerOnly(t *testing.T) {
	w := warm(testSettings())
	orphan := func() (*Edge, Result) {
		c := w.client(call.Peer{}, call.Fail) // its own span is never sent
		return w.record("catalog", w.server(c))
	}
	_, got := orphan()
	assert.Equal(t, NotACall, got, "its callers' spans may still be on their way")
	w.at(71 * second)
	e, got := orphan()
	assert.Equal(t, Counted, got)
	assert.Equal(t, "unknown->catalog", e.Name())

	w.record("orders", w.client(named("catalog"), call.OK))
	_, got = orphan()
	assert.Equal(t, NotACall, got, "a caller is a better witness")
	w.at(w.now + 601*second)
	_, got = orphan()
	assert.Equal(t, Counted, got, "long ago")
}

// A service whose callers send no spans: most requests pass, and the few that fail take nearly all the time.
// Whose pool they fill is not known, so the door is not shut for them; it is when nearly all fail.
func TestServerOnlyOpensByRateAlone(t *testing.T) {
	for name, tt := range map[string]struct {
		each  int // of so many one fails
		known bool
		want  string
	}{
		"a quarter fails, caller unknown": {4, false, ""},
		"a quarter fails, caller known":   {4, true, "orders->catalog open failure_load"},
		"all fail, caller unknown":        {1, false, "unknown->catalog open failure_rate"},
	} {
		t.Run(name, func(t *testing.T) {
			w := warm(testSettings())
			w.by("catalog")
			w.at(72 * second)
			for i := range 200 {
				w.at(w.now + second/20)
				c := w.client(named("catalog"), call.OK)
				if i%tt.each == 0 {
					c.Outcome, c.Start = call.Fail, c.End-2*second
				}
				if tt.known {
					w.record("orders", c)
				} else {
					w.charge("catalog", w.server(c))
				}
			}
			if tt.want == "" {
				assert.Empty(t, w.events)
			} else {
				assert.Contains(t, w.events, tt.want)
			}
		})
	}
}

// A service that fails because what it calls does: the breaker behind it opens, the one before it does not. When
// the one behind has healed and the service fails by itself, it does.
func TestDoorStaysOpenToThoseWhoBreakBehindIt(t *testing.T) {
	w := warm(testSettings())
	w.by("catalog")
	run := func(until int64, behind, door call.Outcome) {
		for w.now < until {
			w.at(w.now + second/20)
			w.record("catalog", w.client(shopDB, behind))
			w.charge("catalog", w.server(w.client(call.Peer{}, door)))
		}
	}
	run(80*second, call.OK, call.OK)
	run(90*second, call.Fail, call.Fail)
	run(120*second, call.OK, call.OK)
	assert.NotEmpty(t, w.of("catalog->postgresql/shop open"))
	assert.Empty(t, w.of("unknown->catalog open"))
	run(130*second, call.OK, call.Fail)
	assert.Contains(t, w.events, "unknown->catalog open fast_failure_rate")
}

// At rates far beyond what is remembered, few spans still meet their other side. They are enough: the address gets
// its name, and the callee is not taken for one whose callers are silent.
func TestOneInManyPairsIsEnough(t *testing.T) {
	w := warm(testSettings())
	var late []call.Call
	for i := range 100_000 {
		if i%100 == 0 {
			w.at(w.now + second/20)
		}
		c := w.client(address("10.0.0.7", 8080), call.OK)
		w.record("gateway", c)
		if late = append(late, w.server(c)); len(late) > 2*seenSlots {
			w.record("orders", late[0])
			late = late[1:]
		}
	}
	assert.Equal(t, []string{"gateway->orders"}, w.names())
}

// A caller may know a service by another name than its own: its spans are the better witness all the same.
func TestOtherName(t *testing.T) {
	w := warm(testSettings())
	w.record("catalog", w.server(w.client(call.Peer{}, call.OK)))
	w.at(75 * second)
	c := w.client(named("Catalogue"), call.OK)
	w.record("catalog", w.server(c)) // comes first, and is counted
	w.record("orders", c)
	_, got := w.record("catalog", w.server(w.client(call.Peer{}, call.OK)))
	assert.Equal(t, NotACall, got)
}

// When both the edge by address and the one by name have opened, the one by name goes on.
func TestRenameOntoAnOpenEdge(t *testing.T) {
	w := warm(testSettings())
	for i := range 200 {
		w.at(w.now + second/20)
		w.record("orders", w.client(named("catalog"), call.Fail))
		if i >= 60 {
			w.record("orders", w.client(address("10.0.0.7", 1), call.Fail))
		}
	}
	kept := w.order[0].Hot.Last
	c := w.client(address("10.0.0.7", 1), call.Fail)
	w.record("catalog", w.server(c))
	e, _ := w.record("orders", c)
	assert.Equal(t, "orders->catalog", e.Name())
	assert.Equal(t, kept, e.Hot.Last)
	assert.Len(t, w.Active(), 1)
	assert.Equal(t, 1, w.open, "one breaker is open, where there were two")
}
