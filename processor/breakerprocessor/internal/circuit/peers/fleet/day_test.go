// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"context"
	"iter"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Day is a day on which nothing happens, but that so many calls fail all the time.
type Day struct {
	// Callers is how many services there are; each has two replicas and calls twenty databases of its own, at rates
	// from 0.2 to 2 a second: one of each twentieth of the log scale, so that a few callers stand for all.
	Callers int
	// Failures is the share of calls that fail.
	Failures float64
	Length   time.Duration
}

const (
	dayReplicas = 2
	dayCallees  = 20
	// dayTick is how finely the phases of the exports are spread.
	dayTick     = 200 * time.Millisecond
	ticksPerSec = int(time.Second / dayTick)
)

// Edges is how many there are.
func (d *Day) Edges() int { return d.Callers * dayCallees }

// scale makes a count of n edges and this length one of a thousand and a day.
func (d *Day) scale(count, edges int) float64 {
	return float64(count) * 1000 / float64(edges) * float64(24*time.Hour) / float64(d.Length)
}

// replicaDay is the calls of one replica, one after the other.
type replicaDay struct {
	rng      *rand.Rand
	failures float64
	upTo     [dayCallees]float64 // rates, summed up
	call     dayCall             // the next one
	number   uint64
}

// dayTimes are log-normal times at even steps of probability: a draw each would cost as much as the breaker does.
var dayTimes = func() (out [1 << 10]time.Duration) {
	for i := range out {
		p := (float64(i) + 0.5) / float64(len(out))
		out[i] = time.Duration(float64(5*time.Millisecond) * math.Exp(0.5*math.Sqrt2*math.Erfinv(2*p-1)))
	}
	return out
}()

type dayCall struct {
	start, end time.Duration
	id         uint64
	callee     int
	failed     bool
}

func (d *Day) replica(seed uint64, caller, replica int) *replicaDay {
	rates := rand.New(rand.NewPCG(seed, uint64(caller)<<8|0xff))
	r := &replicaDay{
		rng: rand.New(rand.NewPCG(seed, uint64(caller)<<8|uint64(replica))), failures: d.Failures,
		number: uint64(caller)<<40 | uint64(replica)<<32,
	}
	sum := 0.0
	for i := range r.upTo {
		sum += 0.2 * math.Pow(10, (float64(i)+rates.Float64())/dayCallees) / dayReplicas
		r.upTo[i] = sum
	}
	r.next()
	return r
}

func (r *replicaDay) next() {
	total := r.upTo[dayCallees-1]
	r.number++
	at := r.call.start + gap(r.rng, total)
	callee, _ := slices.BinarySearch(r.upTo[:], r.rng.Float64()*total)
	r.call = dayCall{
		start: at, end: at + dayTimes[r.rng.Uint64()%uint64(len(dayTimes))],
		callee: min(callee, dayCallees-1), failed: r.rng.Float64() < r.failures, id: r.number,
	}
}

// Observe has the observer see the day, and returns its changes and how many calls there were. It must be called
// in a synctest bubble.
func (d *Day) Observe(ctx context.Context, seed uint64) (changes []Change, calls int, err error) {
	o, err := NewObserver(ctx)
	if err != nil {
		return nil, 0, err
	}
	type replica struct {
		*replicaDay
		caller, tick int
		held         []dayCall // started, not exported yet
	}
	var replicas []*replica
	for caller := range d.Callers {
		for i := range dayReplicas {
			n := len(replicas)
			replicas = append(replicas, &replica{replicaDay: d.replica(seed, caller, i), caller: caller, tick: n % ticksPerSec})
		}
	}
	w := newDayWriter(o.origin, d.Callers)
	batch := make([]dayCall, 0, 256)
	for tick := range int(d.Length / dayTick) {
		time.Sleep(dayTick)
		now := time.Duration(tick+1) * dayTick
		for i, r := range replicas {
			if tick%ticksPerSec != r.tick {
				continue
			}
			for ; r.call.start <= now; r.next() {
				r.held = append(r.held, r.call)
			}
			batch = batch[:0]
			kept := r.held[:0]
			for _, c := range r.held {
				if c.end <= now {
					batch = append(batch, c)
				} else {
					kept = append(kept, c)
				}
			}
			r.held = kept
			if len(batch) == 0 {
				continue
			}
			calls += len(batch)
			if err := w.send(ctx, o.traces, r.caller, i%dayReplicas, batch); err != nil {
				return nil, 0, err
			}
		}
	}
	time.Sleep(time.Second)
	return o.Changes, calls, o.Close(ctx)
}

// Attempts are the day's calls of the first callers, in the order of their start. A breaker stands for each replica
// and callee: there are callers x 2 x 20.
func (d *Day) Attempts(seed uint64, callers int) iter.Seq[Attempt] {
	return func(yield func(Attempt) bool) {
		var replicas []*replicaDay
		for caller := range callers {
			for i := range dayReplicas {
				replicas = append(replicas, d.replica(seed, caller, i))
			}
		}
		for {
			first := 0
			for i, r := range replicas {
				if r.call.start < replicas[first].call.start {
					first = i
				}
			}
			c := replicas[first].call
			if c.start >= d.Length || !yield(Attempt{c.start, c.end, first*dayCallees + c.callee, c.failed}) {
				return
			}
			replicas[first].next()
		}
	}
}

// DayBreakers is how many in-process breakers so many callers have.
func DayBreakers(callers int) int { return callers * dayReplicas * dayCallees }

// Row counts what opened from closed, on so many of the edges.
func (d *Day) Row(scenario, breaker string, edges int, changes []Change) Row {
	r := Row{Scenario: scenario, Breaker: breaker, Transitions: len(changes)}
	opens := 0
	for _, c := range changes {
		if c.Previous == "closed" && c.Next == "open" {
			opens++
		}
	}
	r.FalseOpens = d.scale(opens, edges)
	return r
}
