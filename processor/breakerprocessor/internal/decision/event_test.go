// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package decision

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSentences(t *testing.T) {
	because := func(state, why string) Advice { return Advice{Edge: db, State: state, Explanation: why} }
	withheld := func(w string) Advice {
		return Advice{Edge: db, State: "closed", Explanation: "95 % of 40 calls failed within 2s", Withheld: w}
	}
	retries := Advice{Edge: db, Retries: Retries{Amplification: 3.04, Budget: 0.1, Composition: "retry(breaker(call))"}}
	metastable := retries
	metastable.Retries.Metastable = true
	for _, tt := range []struct {
		event Event
		want  string
	}{
		{Event{Name: StateChanged, Advice: because("open", "95 % of 40 calls failed within 2s")},
			"Breaker orders->postgresql/shop is open: 95 % of 40 calls failed within 2s."},
		{Event{Name: StateChanged, Advice: because("half_open", "calls that start from now on are verified")},
			"Breaker orders->postgresql/shop is half open: calls that start from now on are verified."},
		{Event{Name: StateChanged, Advice: because("closed", "none of 10 calls failed while it was verified")},
			"Breaker orders->postgresql/shop is closed again: none of 10 calls failed while it was verified."},
		{Event{Name: StateChanged, Advice: because("forced_open", "somebody said so")},
			"Breaker orders->postgresql/shop is open, as the configuration says: somebody said so."},
		{Event{Name: StateChanged, Advice: because("disabled", "somebody said so")},
			"Breaker orders->postgresql/shop is disabled, as the configuration says: somebody said so."},
		{Event{Name: Suppressed, Advice: withheld("only_failures")},
			"Breaker orders->postgresql/shop stays closed though 95 % of 40 calls failed within 2s: nothing but traces with failures came this way since the start, so that everything looks dead; put this processor before what samples them."},
		{Event{Name: Suppressed, Advice: withheld("deeper_open")},
			"Breaker orders->postgresql/shop stays closed though 95 % of 40 calls failed within 2s: a breaker further down is open, which is the better place to cut."},
		{Event{Name: Suppressed, Advice: withheld("caller_side")},
			"Breaker orders->postgresql/shop stays closed though 95 % of 40 calls failed within 2s: they fail on few of the caller's instances, and others are well."},
		{Event{Name: Suppressed, Advice: withheld("instance_side")},
			"Breaker orders->postgresql/shop stays closed though 95 % of 40 calls failed within 2s: they fail on few of the callee's instances, and others are well."},
		{Event{Name: Suppressed, Advice: withheld("max_open_share")},
			"Breaker orders->postgresql/shop stays closed though 95 % of 40 calls failed within 2s: as many breakers are open as max_open_share allows."},
		{Event{Name: Stalled, Advice: Advice{Edge: db}},
			"Calls orders->postgresql/shop have stalled: hardly any ends, though orders gets requests as ever."},
		{Event{Name: Stalled, Advice: Advice{Edge: db}, Over: true}, "Calls orders->postgresql/shop end again."},
		{Event{Name: InstanceDegraded, Advice: Advice{Edge: db, Eject: []string{"10.0.0.7:5432", "10.0.0.8:5432"}}},
			"Of the instances behind orders->postgresql/shop these fail while others are well, and should get no calls: 10.0.0.7:5432, 10.0.0.8:5432."},
		{Event{Name: InstanceDegraded, Advice: Advice{Edge: db, DegradedCallers: []string{"orders-1"}}},
			"Calls orders->postgresql/shop fail on these instances of the caller only, which should be looked at: orders-1."},
		{Event{Name: InstanceDegraded, Advice: Advice{Edge: db}, Over: true}, "No instance stands out on orders->postgresql/shop any more."},
		{Event{Name: RetryStorm, Advice: retries},
			"Retry storm on orders->postgresql/shop: 3.0 calls for each request while they fail. Retry at most 10 % of the requests, at one layer only, and retry around the breaker: retry(breaker(call))."},
		{Event{Name: RetryStorm, Advice: metastable},
			"Retries on orders->postgresql/shop keep it down though what caused them is well again: 3.0 calls for each request. Let fewer in, and for longer."},
		{Event{Name: RetryStorm, Advice: retries, Over: true, Attempts: 250, Requests: 100, Peak: 2.96},
			"The retry storm on orders->postgresql/shop is over: 250 calls were made for 100 requests, 2.5 times as many, 3.0 at its height."},
		{Event{Name: Backlog, Advice: Advice{Edge: db}, Wait: 20_123_456_789},
			"Messages on orders->postgresql/shop wait 20.1s for their consumer, far longer than usual."},
		{Event{Name: Backlog, Advice: Advice{Edge: db}, Wait: 149e6, Over: true},
			"Messages on orders->postgresql/shop wait as long as usual again, 100ms."},
		{Event{Name: "another"}, ""},
	} {
		assert.Equal(t, tt.want, tt.event.Sentence())
	}
}

func TestAmplification(t *testing.T) {
	e := Event{Advice: Advice{Retries: Retries{Amplification: 3}}, Attempts: 250, Requests: 100}
	assert.InDelta(t, 2.5, e.Amplification(), 0)
	e.Requests = 0
	assert.InDelta(t, 3, e.Amplification(), 0)
}

// Every reason for which a breaker is held back, and every state, has words.
func TestWordsForAll(t *testing.T) {
	for _, s := range []string{"closed", "open", "half_open", "forced_open", "disabled"} {
		assert.NotEmpty(t, stateNames[s], s)
	}
	assert.Len(t, stateNames, 5)
	for _, w := range []string{"only_failures", "deeper_open", "caller_side", "instance_side", "max_open_share"} {
		assert.NotEmpty(t, withheldNames[w], w)
	}
	assert.Len(t, withheldNames, 5)
}
