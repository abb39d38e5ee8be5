// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"container/heap"
	"errors"
	"iter"
	"time"

	"github.com/failsafe-go/failsafe-go/circuitbreaker"
	"github.com/sony/gobreaker/v2"
)

// Both libraries take the time from time.Now, which a synctest bubble simulates.

var errFailed = errors.New("failed")

// inProcess asks whether a call may be made; done is nil when it may not.
type inProcess interface {
	allow() (done func(ok bool))
}

// Peer is a way to set up the breaker of a library. changed is told of every change of state.
type Peer struct {
	Name  string
	build func(changed func(from, to string)) inProcess
}

// What is equal to ours in the fair settings: half of at least ten calls within ten seconds open it, for five
// seconds. One call probes then, as is their habit: they close the sooner for it.
const (
	fairWindow  = 10 * time.Second
	fairMinimum = 10
	fairOpen    = 5 * time.Second
)

// Peers are the libraries at their defaults, and as equal to ours as they can be.
func Peers() []Peer {
	return []Peer{
		{"gobreaker, default", func(changed func(from, to string)) inProcess {
			return newGobreaker(gobreaker.Settings{}, changed)
		}},
		{"gobreaker, fair", func(changed func(from, to string)) inProcess {
			return newGobreaker(gobreaker.Settings{
				Interval: fairWindow, BucketPeriod: fairWindow / 10, Timeout: fairOpen,
				ReadyToTrip: func(n gobreaker.Counts) bool {
					calls := n.TotalSuccesses + n.TotalFailures
					return calls >= fairMinimum && 2*n.TotalFailures >= calls
				},
			}, changed)
		}},
		{"failsafe-go, default", func(changed func(from, to string)) inProcess {
			return newFailsafe(circuitbreaker.NewBuilder[any](), changed)
		}},
		{"failsafe-go, fair", func(changed func(from, to string)) inProcess {
			return newFailsafe(circuitbreaker.NewBuilder[any]().
				WithFailureRateThreshold(0.5, fairMinimum, fairWindow).WithSuccessThreshold(1).WithDelay(fairOpen), changed)
		}},
	}
}

type goBreaker struct {
	*gobreaker.TwoStepCircuitBreaker[any]
}

func newGobreaker(set gobreaker.Settings, changed func(from, to string)) inProcess {
	name := map[gobreaker.State]string{gobreaker.StateClosed: "closed", gobreaker.StateOpen: "open", gobreaker.StateHalfOpen: "half_open"}
	set.OnStateChange = func(_ string, from, to gobreaker.State) { changed(name[from], name[to]) }
	return goBreaker{gobreaker.NewTwoStepCircuitBreaker[any](set)}
}

func (b goBreaker) allow() func(bool) {
	done, err := b.Allow()
	if err != nil {
		return nil
	}
	return func(ok bool) {
		if ok {
			done(nil)
		} else {
			done(errFailed)
		}
	}
}

type failsafeBreaker struct {
	circuitbreaker.CircuitBreaker[any]
}

func newFailsafe(b circuitbreaker.Builder[any], changed func(from, to string)) inProcess {
	name := map[circuitbreaker.State]string{circuitbreaker.ClosedState: "closed", circuitbreaker.OpenState: "open", circuitbreaker.HalfOpenState: "half_open"}
	return failsafeBreaker{b.OnStateChanged(func(e circuitbreaker.StateChangedEvent) { changed(name[e.OldState], name[e.NewState]) }).Build()}
}

func (b failsafeBreaker) allow() func(bool) {
	if !b.TryAcquirePermit() {
		return nil
	}
	return b.record
}

func (b failsafeBreaker) record(ok bool) {
	if ok {
		b.RecordSuccess()
	} else {
		b.RecordFailure()
	}
}

// Attempt is a call as an in-process breaker sees it.
type Attempt struct {
	Start, End time.Duration
	// Breaker is which one it is put to: that of its replica, and of its edge where there are several.
	Breaker int
	Failed  bool
}

// Run puts the attempts, in the order of their start, to n breakers of every peer, which stop those that they do
// not allow. It must be called in a synctest bubble. Changes are by peer.
func Run(peers []Peer, n int, attempts iter.Seq[Attempt]) [][]Change {
	origin := time.Now()
	changes := make([][]Change, len(peers))
	breakers := make([][]inProcess, len(peers))
	for p, peer := range peers {
		for i := range n {
			breakers[p] = append(breakers[p], peer.build(func(from, to string) {
				now := time.Since(origin)
				changes[p] = append(changes[p], Change{At: now, Event: now, Replica: i, Previous: from, Next: to})
			}))
		}
	}
	var running inFlight
	finish := func(until time.Duration) {
		for len(running) > 0 && running[0].End <= until {
			time.Sleep(running[0].End - time.Since(origin))
			a := heap.Pop(&running).(started)
			for _, done := range a.done {
				if done != nil {
					done(!a.Failed)
				}
			}
		}
	}
	for a := range attempts {
		finish(a.Start)
		time.Sleep(a.Start - time.Since(origin))
		s := started{Attempt: a, done: make([]func(bool), len(peers))}
		for p := range peers {
			s.done[p] = breakers[p][a.Breaker].allow()
		}
		heap.Push(&running, s)
	}
	finish(1<<63 - 1)
	return changes
}

// started is an attempt under way; done is nil where it was stopped.
type started struct {
	Attempt
	done []func(ok bool)
}

// inFlight is a heap of what is under way, the first to end on top.
type inFlight []started

func (h inFlight) Len() int           { return len(h) }
func (h inFlight) Less(i, j int) bool { return h[i].End < h[j].End }
func (h inFlight) Swap(i, j int)      { h[i], h[j] = h[j], h[i] }
func (h *inFlight) Push(x any)        { *h = append(*h, x.(started)) }
func (h *inFlight) Pop() any {
	old := *h
	last := old[len(old)-1]
	*h = old[:len(old)-1]
	return last
}

// Attempts are the calls to the callee of the scenario, as one breaker a replica sees them.
func Attempts(calls []Call) iter.Seq[Attempt] {
	return func(yield func(Attempt) bool) {
		for i := range calls {
			c := &calls[i]
			if !c.Bystander && !yield(Attempt{c.Start, c.End, c.Replica, c.Failure != None}) {
				return
			}
		}
	}
}
