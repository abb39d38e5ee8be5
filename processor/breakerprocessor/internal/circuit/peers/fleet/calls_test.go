// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package fleet

import (
	"cmp"
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// Call is one call of a caller's replica. Times are since the scenario began.
type Call struct {
	Start, End time.Duration // as the caller sees it
	// ServerEnd is when the callee is done with it; 0: the callee knows nothing of it.
	ServerEnd         time.Duration
	ID                uint64 // of its trace
	Replica, Instance int
	Failure           Failure
	// Bystander says that it goes to the other callee, which stays healthy.
	Bystander bool
}

// Calls are the calls of a scenario in the order of their start: Poisson arrivals, log-normal times.
func (s *Scenario) Calls() []Call {
	var out []Call
	for replica := range s.Replicas {
		for _, bystander := range []bool{false, true} {
			stream := uint64(replica) << 1
			if bystander {
				stream++
			}
			out = s.stream(out, rand.New(rand.NewPCG(s.Seed, stream)), replica, bystander)
		}
	}
	slices.SortFunc(out, func(a, b Call) int {
		return cmp.Or(cmp.Compare(a.Start, b.Start), cmp.Compare(a.Replica, b.Replica))
	})
	for i := range out {
		out[i].ID = uint64(i) + 1
	}
	return out
}

func (s *Scenario) stream(out []Call, rng *rand.Rand, replica int, bystander bool) []Call {
	most := 1.0
	if s.Busier != nil && !bystander {
		most = s.Busier(replica)
	}
	for at := gap(rng, s.Rate*most); at < s.end(); at += gap(rng, s.Rate*most) {
		during := at >= s.Onset && at < s.healed()
		if !during && rng.Float64() >= 1/most {
			continue
		}
		c := Call{Start: at, Replica: replica, Bystander: bystander, Instance: rng.IntN(s.instances())}
		if during && !bystander {
			c.Failure = s.Fault(at-s.Onset, replica, c.Instance)
		}
		s.last(&c, rng)
		out = append(out, c)
	}
	return out
}

// last decides how long the call takes, on either side.
func (s *Scenario) last(c *Call, rng *rand.Rand) {
	const network = 200 * time.Microsecond
	answers := !s.Database || c.Bystander
	switch c.Failure {
	case Refused, NoSuchHost:
		c.End = c.Start + logNormal(rng, 500*time.Microsecond)
		return
	case Hangs:
		c.End = c.Start + timeout
		// Of some calls the callee tells later, when nobody waits any more; of most it never does.
		if rng.Float64() < 0.3 {
			c.ServerEnd = c.End + time.Second + time.Duration(rng.Int64N(int64(2*time.Second)))
		}
		return
	case Unavailable:
		c.End = c.Start + logNormal(rng, 2*time.Millisecond)
	default:
		c.End = c.Start + logNormal(rng, 15*time.Millisecond)
	}
	if answers {
		c.ServerEnd = c.End - min(network, (c.End-c.Start)/4)
	}
}

func gap(rng *rand.Rand, rate float64) time.Duration {
	return time.Duration(rng.ExpFloat64() / rate * float64(time.Second))
}

// logNormal has the given median; one in a hundred takes more than three times as long.
func logNormal(rng *rand.Rand, median time.Duration) time.Duration {
	return time.Duration(float64(median) * math.Exp(0.5*rng.NormFloat64()))
}
