// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package watermark

import "slices"

// visit hands over every field but what New was told, always in the same order.
func (c *Clock) visit(word func(*int64)) {
	flag := func(b *bool) {
		var x int64
		if *b {
			x = 1
		}
		word(&x)
		*b = x == 1
	}
	count := func(n *int) {
		x := int64(*n)
		word(&x)
		*n = int(x)
	}
	source := func(s *uint64) {
		x := int64(*s)
		word(&x)
		*s = uint64(x)
	}
	word(&c.head)
	word(&c.mark)
	flag(&c.started)
	count(&c.run)
	flag(&c.runAhead)
	word(&c.runFrom)
	word(&c.runTo)
	for i := range c.runLast {
		word(&c.runLast[i])
	}
	for i := range c.runSource {
		source(&c.runSource[i])
	}
	count(&c.runNames)
	word(&c.reach)
	word(&c.reachUntil)
	source(&c.lastSource)
	word(&c.mixedAt)
	flag(&c.mixed)
	for i := range c.lags {
		word(&c.lags[i])
	}
	word(&c.lagSlot)
	word(&c.lagSpans)
	word(&c.since)
	word(&c.wait)
}

// Words returns the clock as numbers, to be written down.
func (c *Clock) Words() []int64 {
	all := make([]int64, 0, 32)
	c.visit(func(x *int64) { all = append(all, *x) })
	return all
}

// SetWords sets a new clock to what Words returned for one that waits as long; false, and the clock is as it was,
// when the numbers cannot be a clock's.
func (c *Clock) SetWords(from []int64) bool {
	set := Clock{allowed: c.allowed}
	rest := slices.Clone(from)
	set.visit(func(x *int64) {
		if len(rest) > 0 {
			*x, rest = rest[0], rest[1:]
		} else {
			from = nil
		}
	})
	if set.run < 0 || min(set.runFrom, set.runTo, slices.Min(set.runLast[:])) < 0 {
		set.run = 0 // strangers from before 1970 are no loss
	}
	const furthest = timeLimit + timeLimit/2
	for _, x := range append([]int64{set.runFrom, set.runTo, set.reachUntil, set.mixedAt, set.lagSlot, set.since}, set.runLast[:]...) {
		if x < -furthest || x > furthest {
			return false
		}
	}
	ok := from != nil && len(rest) == 0 && set.head >= 0 && set.head <= timeLimit &&
		set.mark <= set.head+1 && set.mark >= set.head-set.allowed-2*maxReach && set.runNames >= 0 && set.runNames <= believeSources &&
		set.reach >= maxStep && set.reach <= maxReach && set.wait >= 0 && set.wait <= set.allowed && set.lagSpans >= 0
	if ok {
		*c = set
	}
	return ok
}
