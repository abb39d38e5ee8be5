// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package storm

// Order is the recommended composition: the breaker is inside the retries, so that each attempt is judged and refused
// by itself. The other way round, an open breaker is learned of only after all attempts have failed, which it counts
// as one failure.
const Order = "retry(breaker(call))"

// retries is the factor from which on a layer counts as one that retries.
const retries = 1.05

// LayerSum is one edge on the path of requests from their root to the callee that fails.
type LayerSum struct {
	// First are the logical calls on the edge, Attempts those and their retries.
	First, Attempts uint64
}

func (l LayerSum) factor() float64 {
	if l.First == 0 || l.Attempts < l.First {
		return 1
	}
	return float64(l.Attempts) / float64(l.First)
}

// Plan says which layers retry on a path, and which should.
type Plan struct {
	// Amplification is how many calls at the end of the path one request at its root causes: the product over the
	// edges of attempts by first attempts.
	Amplification float64
	// Keep is the index of the layer that should go on retrying, -1 when none does (5 % more attempts than first ones).
	// Drop are those that should stop.
	Keep int
	Drop []int
}

// Layers judges a path, root first. Retries at several layers multiply: five layers of three attempts are 243 calls
// (AWS Builders' Library, "Timeouts, retries, and backoff with jitter", which has one point of the stack retry). Which
// one: the deepest that retries now, that is the nearest to the failure. That is the rule of the Google SRE book
// ("Handling Overload"): only the layer right above the one that refuses should try again, and the layers above it
// should learn that trying again is of no use. A retry there costs one call, where one from higher up does all the
// work between the two again. What is not known here, and to be checked by people: that the calls may be repeated
// safely, and that the caller's deadline leaves time.
func Layers(path []LayerSum) Plan {
	p := Plan{Amplification: 1, Keep: -1}
	for i, l := range path {
		f := l.factor()
		p.Amplification *= f
		if f < retries {
			continue
		}
		if p.Keep >= 0 {
			p.Drop = append(p.Drop, p.Keep)
		}
		p.Keep = i
	}
	return p
}
