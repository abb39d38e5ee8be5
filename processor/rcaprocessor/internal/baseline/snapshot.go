// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package baseline

import (
	"math"

	"github.com/firebreak-otel/firebreak/internal/window"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/snapshot"
)

// Shape is what the sums of a Series mean: state of another shape is of no use.
func Shape() []int64 {
	return []int64{CellWidth, Recent, quarantine, perMinute, hour, window.HistogramBuckets}
}

// Snapshot writes the series to c, or reads one from it into s, which must be new.
func (s *Series) Snapshot(c *snapshot.Codec) {
	c.Time(&s.cell)
	if c.Reading() && s.cell != 0 && (s.cell < Recent || s.cell > snapshot.MaxTime/CellWidth) {
		c.Fail("a cell lies beyond all times")
	}
	if s.cell != 0 {
		for i := range s.recent {
			s.recent[i].snapshot(c)
			if n := s.recent[i].N; n > 0 {
				snapshot.Uint(c, &s.spreads[i].Slow, n)
				c.Int(&s.spreads[i].Squares)
			}
		}
		snapshot.Uint(c, &s.good, allGood)
		histogram(c, &s.young)
		histogram(c, &s.waiting)
	}
	c.Time(&s.minute)
	held := c.Count(s.minutes(), hour, "minutes")
	for i := 0; held > 0 && c.Err() == nil; held-- {
		for !c.Reading() && s.past[i].N == 0 {
			i++
		}
		k := uint8(i)
		snapshot.Uint(c, &k, hour-1)
		if s.past[k].snapshot(c); s.past[k].N == 0 {
			c.Fail("a normal minute is empty")
		}
		i++
	}
	histogram(c, &s.normal)
}

// minutes returns how many minutes hold something.
func (s *Series) minutes() (n int) {
	for i := range s.past {
		if s.past[i].N > 0 {
			n++
		}
	}
	return n
}

func (c *Cell) snapshot(k *snapshot.Codec) {
	snapshot.Uint(k, &c.N, math.MaxUint32)
	if c.N == 0 {
		return
	}
	snapshot.Uint(k, &c.Bad, c.N)
	k.Int(&c.Log)
}

// histogram passes the buckets that are not empty: how many there are, and of each how many empty ones lie before it.
func histogram(c *snapshot.Codec, h *window.Histogram) {
	b := h.Buckets()
	held := 0
	for _, n := range b {
		if n > 0 {
			held++
		}
	}
	held = c.Count(held, window.HistogramBuckets, "buckets")
	for i, last := 0, 0; held > 0 && c.Err() == nil; held-- {
		for !c.Reading() && b[i] == 0 {
			i++
		}
		skip := uint8(i - last)
		snapshot.Uint(c, &skip, window.HistogramBuckets-1)
		if i = last + int(skip); i >= window.HistogramBuckets {
			c.Fail("a histogram has too many buckets")
			return
		}
		snapshot.Uint(c, &b[i], math.MaxUint32)
		i++
		last = i
	}
}
