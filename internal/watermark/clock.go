// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package watermark derives the engine's clock from the data: how far event time has come (head), and the
// time before which nothing is awaited any more (mark). No wall clock: the same spans in the same order
// give the same marks at any replay speed.
package watermark

import "slices"

// Placement says where a span stands in event time.
type Placement uint8

const (
	// OnTime: at or after the mark, and not beyond what one span may move the head by.
	OnTime Placement = iota
	// Late: before the mark. What it belonged to has been decided.
	Late
	// Future: too far ahead of the head for one span to be believed; its end was clamped to the head.
	Future
	// Rebased: so many spans in a row disagreed with the head that the head was wrong, and was moved to
	// them. Windows and traces of the old time are void when it moved back.
	Rebased
)

const (
	second = int64(1e9)
	// maxStep is how far one span may move the head.
	maxStep = 10 * second
	// A run of strangers (spans all ahead of, or all behind, the head's reach, with none in reach between)
	// is believed at this length, or sooner when two sources agree.
	believeRun     = 32
	believeSources = 2
	believeShort   = 4
	// Where several sources were heard lately, one that disagrees is not believed at its word: one export of
	// a host with a wrong clock is 512 spans long. It is when its own time goes on for maxStep while nobody else speaks.
	believeAlone = 1024
	mixedFor     = 60 * second
	// To move back, a run must outnumber the spans that carried the head, or be this long: old spans arrive in
	// bulk after a network outage, and to believe them voids the windows.
	believeBack = 8192
	// A sparse stream steps further than maxStep each time: after a believed gap the head's reach is twice
	// that gap, at most maxReach, until so many gaps passed without a need for it.
	maxReach   = 3600 * second
	reachLasts = 10
	// maxGap is how far apart strangers ahead may be to count as one run.
	maxGap = 3600 * second
	// timeLimit keeps sums of times within int64.
	timeLimit = int64(1) << 62
	// minWait is the shortest the mark lags behind the head: clocks of two hosts differ by as much.
	minWait = 2 * second
	// The longest lag is remembered for lagSlots*lagSlot, and believed once so much was seen.
	lagSlot    = 10 * second
	lagSlots   = 6
	learnSpans = 500
)

// Clock is the head, the mark, and what was learned of how late spans arrive. NewClock makes one.
type Clock struct {
	head, mark int64
	allowed    int64
	started    bool

	run       int
	runAhead  bool
	runFrom   int64
	runTo     int64
	runLast   [believeShort]int64
	runSource [believeSources]uint64
	runNames  int

	reach      int64 // how far ahead of the head one span is believed
	reachUntil int64
	lastSource uint64
	mixedAt    int64 // head when the source in reach last changed
	mixed      bool

	lags     [lagSlots]int64 // longest lag per slot of event time
	lagSlot  int64
	lagSpans int64
	since    int64 // head when learning began
	wait     int64
}

// NewClock makes a clock that waits at most allowed nanoseconds for late spans. It waits that long at
// first, then as long as the stream's own disorder shows to be needed: the longest lag of the last minute
// and a quarter, and a second.
func NewClock(allowed int64) *Clock {
	return &Clock{allowed: allowed, wait: allowed, reach: maxStep}
}

// Head returns the newest believed end time, in unix nanoseconds; 0 before the first span.
func (c *Clock) Head() int64 { return c.head }

// Mark returns the time before which nothing is awaited any more. It never moves back, but on Rebased.
func (c *Clock) Mark() int64 { return c.mark }

// Wait returns how far the mark lags behind the head at present, in nanoseconds.
func (c *Clock) Wait() int64 { return c.wait }

// Observe takes the end time of a span of the given source (a key of who emitted it) and returns the time
// it counts at.
func (c *Clock) Observe(end int64, source uint64) (int64, Placement) {
	end = min(max(end, -timeLimit), timeLimit)
	if !c.started {
		c.rebase(end)
		c.lastSource = source
		return end, OnTime
	}
	switch {
	case end > c.head+c.reach:
		if c.stranger(end, source, true) {
			return c.follow(end), Rebased
		}
		return c.head, Future
	case end < c.head-c.allowed-maxStep:
		if c.stranger(end, source, false) {
			c.rebase(c.runTo)
			return end, Rebased
		}
		return end, Late
	}
	c.run = 0
	if source != c.lastSource {
		c.lastSource, c.mixed, c.mixedAt = source, true, c.head
	}
	if end > c.head {
		c.advance(end)
	}
	c.learn(c.head - end)
	if m := c.head - c.wait; m > c.mark {
		c.mark = m
	}
	if end < c.mark {
		return end, Late
	}
	return end, OnTime
}

// Idle says that nothing has come for as long as a span may be late: what is here is all there is.
func (c *Clock) Idle() {
	if c.started {
		c.mark = max(c.mark, c.head+1)
	}
}

// Reach moves the head on to a time that another clock has come to; what lies before it is not awaited any more.
func (c *Clock) Reach(head int64) {
	if !c.started {
		c.rebase(head)
	}
	c.head = max(c.head, head)
	c.Idle()
}

// follow moves the head to a believed run: to the second newest of its last ends, since one of them may be
// mad itself, and on to end when that is in the reach which so long a gap gives.
func (c *Clock) follow(end int64) int64 {
	gap := min(c.runFrom-c.head, maxReach)
	last := c.runLast
	slices.Sort(last[:])
	c.rebase(last[believeShort-2])
	c.reach, c.reachUntil = min(2*gap, maxReach), c.head+reachLasts*gap
	if end > c.head && end-c.head <= c.reach {
		c.head = end
	}
	return min(end, c.head)
}

func (c *Clock) advance(end int64) {
	if gap := end - c.head; gap > maxStep {
		c.reach, c.reachUntil = min(max(c.reach, 2*gap), maxReach), end+reachLasts*gap
	} else if c.reach > maxStep && end > c.reachUntil {
		c.reach = maxStep
	}
	c.head = end
}

func (c *Clock) stranger(end int64, source uint64, ahead bool) bool {
	apart := maxStep
	if ahead {
		apart = maxGap
	}
	near := c.run > 0 && c.runAhead == ahead && end > c.runFrom-maxStep && end < c.runTo+apart
	if !near {
		c.run, c.runAhead, c.runFrom, c.runTo, c.runNames = 0, ahead, end, end, 0
	}
	c.runLast[c.run%believeShort] = end
	c.run++
	c.runFrom, c.runTo = min(c.runFrom, end), max(c.runTo, end)
	known := false
	for _, s := range c.runSource[:c.runNames] {
		known = known || s == source
	}
	if !known && c.runNames < believeSources {
		c.runSource[c.runNames] = source
		c.runNames++
	}
	mixed := c.mixed && c.head-c.mixedAt < mixedFor
	if !ahead {
		need := int64(believeRun)
		if c.runNames < believeSources {
			need *= 8
			if mixed {
				need = believeAlone
			}
		}
		return int64(c.run) >= min(max(need, c.lagSpans), believeBack)
	}
	switch {
	case c.run < believeShort:
		return false
	case c.runNames >= believeSources, c.runTo-c.runFrom > maxStep:
		return true
	case mixed:
		return c.run >= believeAlone
	}
	return c.run >= believeRun
}

func (c *Clock) rebase(to int64) {
	back := to < c.head
	c.head, c.started, c.run = to, true, 0
	c.lags, c.lagSpans, c.since, c.wait = [lagSlots]int64{}, 0, to, c.allowed
	c.lagSlot = to / lagSlot
	c.reach, c.mixed = maxStep, false
	if m := to - c.wait; m > c.mark || back {
		c.mark = m
	}
}

// learn adapts the wait to the stream's own disorder.
func (c *Clock) learn(lag int64) {
	slot := c.head / lagSlot
	if slot != c.lagSlot {
		for k := max(c.lagSlot+1, slot-lagSlots+1); k <= slot; k++ {
			c.lags[slotOf(k)] = 0
		}
		c.lagSlot = slot
		c.relearn()
	}
	c.lagSpans++
	if l := &c.lags[slotOf(slot)]; lag > *l {
		*l = lag
		if need := lagToWait(lag); need > c.wait {
			c.wait = min(need, c.allowed)
		}
	}
}

// relearn shortens the wait when the last minute shows that less is enough.
func (c *Clock) relearn() {
	if c.lagSpans < learnSpans || c.head-c.since < 2*lagSlot {
		return
	}
	var longest int64
	for _, l := range c.lags {
		longest = max(longest, l)
	}
	c.wait = min(lagToWait(longest), c.allowed)
}

func slotOf(k int64) int64 { return (k%lagSlots + lagSlots) % lagSlots }

func lagToWait(lag int64) int64 {
	return max(minWait, lag+lag/4+second)
}
