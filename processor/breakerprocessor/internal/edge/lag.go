// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package edge

const (
	// lagWidth is the resolution of what is learned of lags, in nanoseconds.
	lagWidth = int64(250e6)
	lagSlots = 40
	// lagFades is after how much time what was learned counts half.
	lagFades = int64(10e9)
	// lagEnough pairs must have been seen.
	lagEnough = 50
	// shortest and unlearned are the least wait, and the one before anything is known.
	shortest  = int64(500e6)
	unlearned = int64(2e9)
	// restMore is how long a trace may still go on after its failure's story is told.
	restMore = int64(1500e6)
)

// lag learns by how much event time the callee's span comes after the caller's, of calls that succeeded: SDKs export
// at intervals of their own. 99 of 100 come within wait.
type lag struct {
	counts [lagSlots]uint32
	fadeAt int64
	most   int64
	wait   int64
}

func (l *lag) init(most int64) { l.most, l.wait = most, min(unlearned, most) }

func (l *lag) learn(now, by int64) {
	if now >= l.fadeAt {
		l.conclude()
		l.fadeAt = now + lagFades
	}
	l.counts[min(max(by, 0)/lagWidth, lagSlots-1)]++
}

// conclude sets the wait by what was learned, and lets that fade.
func (l *lag) conclude() {
	var total uint32
	for _, n := range l.counts {
		total += n
	}
	if total < lagEnough {
		return
	}
	left := total / 100
	for i := lagSlots - 1; i >= 0; i-- {
		if l.counts[i] > left {
			l.wait = min(max(int64(i+2)*lagWidth, shortest), l.most)
			break
		}
		left -= l.counts[i]
	}
	for i := range l.counts {
		l.counts[i] /= 2
	}
}

// Settling is how long a failure's story is awaited at present, in nanoseconds.
func (t *Table) Settling() int64 { return t.lag.wait }
