// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"slices"
	"time"
)

// Failure is how a call ends that does not succeed.
type Failure uint8

const (
	// None: the call succeeds.
	None Failure = iota
	// Refused: nobody listens; the caller knows at once, and the callee knows nothing.
	Refused
	// Unavailable: the callee answers at once that it can't.
	Unavailable
	// Hangs: no answer within the caller's time-out of a second.
	Hangs
	// NoSuchHost: the caller can't even find out whom to call.
	NoSuchHost
)

const (
	// healthy is the least time before the fault, and afterHeal how long the fleet runs on after it.
	healthy   = 90 * time.Second
	afterHeal = 4 * time.Minute
	// outage is how long a total outage lasts.
	outage = time.Minute
	// timeout is the callers' patience.
	timeout = time.Second
)

// Scenario is a fleet, and what befalls it.
type Scenario struct {
	Name string
	Seed uint64
	// Onset is when the fault begins: somewhere in a second, as no fault knows of the buckets of a window.
	Onset time.Duration
	// Replicas of the caller, each of which makes Rate calls a second to the callee, and as many to another one
	// that stays healthy.
	Replicas int
	Rate     float64
	// Database says that the callee is one, which emits no spans of its own. Else it is a service of five instances.
	Database bool
	// Fault says how a call fails that starts so long after the fault began, None if it does not. It lasts FaultFor.
	Fault    func(since time.Duration, replica, instance int) Failure
	FaultFor time.Duration
	// After is how long the fleet runs on when the fault is over.
	After time.Duration
	// Busier is how many times as many calls a replica makes during the fault. Nil: as many as before.
	Busier func(replica int) float64

	// Blameless says that nothing may open: the fault is not the callee's.
	Blameless bool
	// Within is how soon after the onset somebody must be told that the edge is open; 0: it is not said.
	Within time.Duration
	// MaxTransitions bounds the changes of state; 0: they are not bounded.
	MaxTransitions int
}

const (
	instances = 5
	zones     = 3
)

func (s *Scenario) instances() int {
	if s.Database {
		return 1
	}
	return instances
}

func (s *Scenario) healed() time.Duration { return s.Onset + s.FaultFor }
func (s *Scenario) end() time.Duration    { return s.healed() + s.After }

// Edge is the name of the one edge that may open.
func (s *Scenario) Edge() string {
	if s.Database {
		return "shop/orders->postgresql/ledger"
	}
	return "shop/orders->shop/payments"
}

// Scenarios are the fleets and faults, but for the day. All that is random in them follows from the seed.
func Scenarios(seed uint64) []Scenario {
	out := append(outages(), slices.Concat(flaps(), blameless())...)
	for i := range out {
		out[i].seed(seed<<8 | uint64(i))
	}
	return out
}

func (s *Scenario) seed(n uint64) {
	s.Seed, s.After = n, afterHeal
	s.Onset = healthy + time.Duration(spread(n)%uint64(time.Second))
}

// outages are those in which every call to the callee fails.
func outages() (out []Scenario) {
	for _, kind := range []struct {
		name     string
		failure  Failure
		database bool
		within   time.Duration
	}{
		{"refused", Refused, false, 3 * time.Second},
		{"silent node", Unavailable, true, 3 * time.Second},
		{"timeout", Hangs, false, 4500 * time.Millisecond},
	} {
		for _, size := range []struct {
			name     string
			replicas int
			rate     float64
		}{{"100 x 0.2", 100, 0.2}, {"20 x 1", 20, 1}, {"3 x 20", 3, 20}} {
			out = append(out, Scenario{
				Name: "outage, " + kind.name + ", " + size.name, Replicas: size.replicas, Rate: size.rate, Database: kind.database,
				Fault: all(kind.failure), FaultFor: outage, Within: kind.within,
			})
		}
	}
	return out
}

// flaps are outages that come and go.
func flaps() []Scenario {
	return []Scenario{
		{
			Name: "flaps every 5 s", Replicas: 20, Rate: 1,
			Fault: flapping(5 * time.Second), FaultFor: 2 * time.Minute, MaxTransitions: 3,
		},
		{
			Name: "flaps every 30 s", Replicas: 20, Rate: 1,
			Fault: flapping(30 * time.Second), FaultFor: 10 * time.Minute, Within: 3 * time.Second,
		},
	}
}

// blameless are faults of a part, for which the whole edge must not be cut.
func blameless() []Scenario {
	return []Scenario{
		{
			Name: "1 of 5 instances answers 503", Replicas: 10, Rate: 5,
			Fault: onInstance(2, Unavailable), FaultFor: outage, Blameless: true,
		},
		{
			Name: "1 of 5 instances hangs", Replicas: 10, Rate: 5,
			Fault: onInstance(2, Hangs), FaultFor: outage, Blameless: true,
		},
		{
			Name: "partition in 1 of 3 zones", Replicas: 9, Rate: 5,
			Fault: onReplicas(Hangs, func(replica int) bool { return replica%zones == 1 }), FaultFor: outage, Blameless: true,
		},
		{
			Name: "1 of 10 callers sick", Replicas: 10, Rate: 5,
			Fault: onReplicas(NoSuchHost, func(replica int) bool { return replica == 3 }), FaultFor: outage, Blameless: true,
		},
		// What fails fast attracts load: nine in ten calls of the edge fail.
		{
			Name: "1 of 10 callers sick, black hole", Replicas: 10, Rate: 5,
			Fault: onReplicas(NoSuchHost, func(replica int) bool { return replica == 3 }), FaultFor: outage, Blameless: true,
			Busier: func(replica int) float64 {
				if replica == 3 {
					return 81
				}
				return 1
			},
		},
	}
}

func all(f Failure) func(time.Duration, int, int) Failure {
	return func(time.Duration, int, int) Failure { return f }
}

func flapping(each time.Duration) func(time.Duration, int, int) Failure {
	return func(since time.Duration, _, _ int) Failure {
		if since/each%2 == 0 {
			return Refused
		}
		return None
	}
}

func onInstance(sick int, f Failure) func(time.Duration, int, int) Failure {
	return func(_ time.Duration, _, instance int) Failure {
		if instance == sick {
			return f
		}
		return None
	}
}

func onReplicas(f Failure, sick func(int) bool) func(time.Duration, int, int) Failure {
	return func(_ time.Duration, replica, _ int) Failure {
		if sick(replica) {
			return f
		}
		return None
	}
}
