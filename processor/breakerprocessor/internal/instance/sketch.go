// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package instance tells which replicas of a caller, or of a callee, the failures of an edge fall on: one sick
// caller replica is no reason to open the edge, and one sick callee replica is to be ejected, not its service.
package instance

import (
	"math"
	"slices"
	"strings"
	"unicode/utf8"
	"unsafe"

	"github.com/firebreak-otel/firebreak/internal/window"
)

const (
	// DefaultInstances is how many instances a sketch keeps when not told otherwise.
	DefaultInstances = 32
	// DefaultCell is the width of a cell in nanoseconds. As long as the breaker's fast window: in wider cells, the
	// calls that replicas made well before an outage outnumber for too long those that fail since.
	DefaultCell = int64(2e9)
	// MaxName is how many bytes of an instance's name are kept.
	MaxName = 128
)

// Sketch counts the calls of an edge by instance, for at most K instances: those with the smallest hash of their key
// (bottom-k sampling; Cohen and Kaplan, 2007). Which are kept, and their counts, depend on what was added alone and
// not on its order, and are exact for up to K instances; of more, they are a fair sample of the instances. Counts
// are of two cells of event time, the newest and the one before it. The zero Sketch is not usable: NewSketch.
type Sketch struct {
	k     int
	width int64 // of a cell, nanoseconds
	head  int64 // the newest cell's index
	begun bool
	full  [2]bool // by parity of the cell's index: some instance was left out
	total [2]sums // of all calls, the unknown and the left out among them
	hosts []host  // by hash, ascending; those of the newest cell or of the one before it
}

type host struct {
	hash  uint64
	name  string
	cells [2]sums // by parity of the cell's index
}

// sums are counts of calls. They saturate.
type sums struct{ calls, bad, deeper uint32 }

func (s *sums) add(o sums) {
	s.calls = window.Plus(s.calls, o.calls)
	s.bad = window.Plus(s.bad, o.bad)
	s.deeper = window.Plus(s.deeper, o.deeper)
}

// Count is what is known of one instance in the last one to two cells. All are counts of observed calls.
type Count struct {
	Key  uint64
	Name string
	// Calls were made, Bad of them failed, and Deeper of the failures were shown to have begun behind the callee.
	Calls, Bad, Deeper uint32
}

// Failed is how many failures are charged to the edge.
func (c Count) Failed() uint32 {
	return min(c.Bad-min(c.Bad, c.Deeper), c.Calls)
}

// NewSketch makes an empty sketch of k instances (below 2: DefaultInstances) with cells of width nanoseconds (below
// 1: DefaultCell). It takes no memory for instances before there are any.
func NewSketch(k int, width int64) Sketch {
	if k < 2 {
		k = DefaultInstances
	}
	if width < 1 {
		width = DefaultCell
	}
	return Sketch{k: k, width: width}
}

// Add counts calls of the instance key that ended at time now (unix nanoseconds of event time), bad of which failed.
// Key 0 is an instance that is not known: it counts in the total only. The name is that of the first call, cloned
// and cut to MaxName bytes. False: now lies before both cells, nothing was counted.
func (s *Sketch) Add(now int64, key uint64, name string, calls, bad uint32) bool {
	c := s.cell(now)
	s.advance(c)
	if c < s.head-1 {
		return false
	}
	p := c & 1
	one := sums{calls: calls, bad: min(bad, calls)}
	s.total[p].add(one)
	if key != 0 && calls > 0 {
		s.count(p, mix(key), name, one)
	}
	return true
}

// Amend corrects the outcome of calls that Add counted at time now for the instance key. Below 0: so many of its
// failures began deeper; above: so many calls that seemed well had failed. False: now lies outside both cells.
func (s *Sketch) Amend(now int64, key uint64, bad int32) bool {
	c := s.cell(now)
	if !s.begun || c > s.head || c < s.head-1 {
		return false
	}
	p := c & 1
	one := sums{bad: uint32(max(bad, 0)), deeper: uint32(-int64(min(bad, 0)))}
	s.total[p].add(one)
	if i, ok := s.find(mix(key)); ok && s.hosts[i].cells[p].calls > 0 {
		s.hosts[i].cells[p].add(one)
	}
	return true
}

// Merge adds what other counted. Both must have the same number of instances and the same width of cells; the name
// of an instance that both know is the receiver's.
func (s *Sketch) Merge(other *Sketch) {
	if !other.begun {
		return
	}
	s.advance(other.head)
	for c := max(other.head, s.head) - 1; c <= other.head; c++ {
		p := c & 1
		s.total[p].add(other.total[p])
		for i := range other.hosts {
			o := &other.hosts[i]
			if o.cells[p].calls > 0 {
				s.count(p, o.hash, o.name, o.cells[p])
			}
		}
		s.full[p] = s.full[p] || other.full[p]
	}
}

// Hosts returns the instances that were heard in the cell of time now or in the one before it, at most K, in the
// order of their hashes.
func (s *Sketch) Hosts(now int64) []Count {
	var out []Count
	for i := range s.hosts {
		h := &s.hosts[i]
		if t := s.sum(now, &h.cells); t.calls > 0 && len(out) < s.k {
			out = append(out, Count{unmix(h.hash), h.name, t.calls, t.bad, t.deeper})
		}
	}
	return out
}

// Total returns the counts of all calls in the same time as Hosts, whether their instance is kept, left out or
// unknown. Key and Name are empty.
func (s *Sketch) Total(now int64) Count {
	t := s.sum(now, &s.total)
	return Count{Calls: t.calls, Bad: t.bad, Deeper: t.deeper}
}

// Distinct estimates how many instances were heard in the same time as Hosts: exact for up to K; of more, with a
// standard error of about 1/sqrt(K-2), 18 % for 32 (Beyer et al., 2007).
func (s *Sketch) Distinct(now int64) int {
	n, last, more := 0, uint64(0), false
	newest := s.cell(now)
	for c := s.head - 1; c <= s.head; c++ {
		more = more || c >= newest-1 && s.full[c&1]
	}
	for i := range s.hosts {
		h := &s.hosts[i]
		if s.sum(now, &h.cells).calls == 0 {
			continue
		}
		if n == s.k {
			more = true
			break
		}
		n, last = n+1, h.hash
	}
	if !more || n < s.k {
		return n
	}
	return max(n, int(math.Round(float64(s.k-1)/(float64(last)+1)*(1<<64))))
}

// Reset forgets all calls.
func (s *Sketch) Reset() { *s = NewSketch(s.k, s.width) }

// Bytes is how much memory the sketch holds, itself included.
func (s *Sketch) Bytes() int {
	n := int(unsafe.Sizeof(*s)) + cap(s.hosts)*int(unsafe.Sizeof(host{}))
	for i := range s.hosts {
		n += len(s.hosts[i].name)
	}
	return n
}

func (s *Sketch) cell(t int64) int64 {
	c := t / s.width
	if t%s.width < 0 {
		c--
	}
	return c
}

// advance moves the head to cell c, never back, and forgets what is older than the cell before it.
func (s *Sketch) advance(c int64) {
	if !s.begun {
		s.begun, s.head = true, c
	}
	if c <= s.head {
		return
	}
	if c > s.head+1 {
		s.clear(c - 1)
	}
	s.clear(c)
	s.head = c
	s.drop()
}

func (s *Sketch) clear(c int64) {
	p := c & 1
	s.full[p], s.total[p] = false, sums{}
	for i := range s.hosts {
		s.hosts[i].cells[p] = sums{}
	}
}

// drop removes the instances that neither cell has heard of.
func (s *Sketch) drop() {
	s.hosts = slices.DeleteFunc(s.hosts, func(h host) bool { return h.cells[0].calls|h.cells[1].calls == 0 })
}

func (s *Sketch) find(hash uint64) (int, bool) {
	return slices.BinarySearchFunc(s.hosts, hash, func(h host, hash uint64) int {
		switch {
		case h.hash < hash:
			return -1
		case h.hash > hash:
			return 1
		}
		return 0
	})
}

// count adds to the instance's entry in a cell, unless the cell keeps K with smaller hashes.
func (s *Sketch) count(p int64, hash uint64, name string, one sums) {
	i, ok := s.find(hash)
	if ok && s.hosts[i].cells[p].calls > 0 {
		s.hosts[i].cells[p].add(one)
		return
	}
	// A full cell has K, never none.
	if s.full[p] && s.hosts[s.last(p)].hash < hash {
		return
	}
	if !ok {
		s.hosts = slices.Insert(s.hosts, i, host{hash: hash, name: cut(name)})
	}
	s.hosts[i].cells[p].add(one)
	s.trim(p)
}

// trim takes the instance with the largest hash out of a cell that has one too many.
func (s *Sketch) trim(p int64) {
	n := 0
	for i := range s.hosts {
		if s.hosts[i].cells[p].calls > 0 {
			n++
		}
	}
	if n > s.k {
		s.hosts[s.last(p)].cells[p] = sums{}
		s.full[p] = true
		s.drop()
	}
}

// last is the index of the instance with the largest hash in the cell; -1: it is empty.
func (s *Sketch) last(p int64) int {
	i := len(s.hosts) - 1
	for i >= 0 && s.hosts[i].cells[p].calls == 0 {
		i--
	}
	return i
}

// sum adds up the cells that now looks back on.
func (s *Sketch) sum(now int64, cells *[2]sums) (t sums) {
	for c, newest := s.head-1, s.cell(now); c <= s.head; c++ {
		if c >= newest-1 {
			t.add(cells[c&1])
		}
	}
	return t
}

func cut(name string) string {
	n := len(name)
	if n > MaxName {
		for n = MaxName; n > 0 && !utf8.RuneStart(name[n]); n-- {
		}
	}
	return strings.Clone(name[:n])
}

// mix spreads keys over all of uint64, one to one; unmix is the way back.
func mix(x uint64) uint64 {
	x = (x ^ x>>32) * 0xd6e8feb86659fd93
	x = (x ^ x>>32) * 0xd6e8feb86659fd93
	return x ^ x>>32
}

func unmix(x uint64) uint64 {
	x = (x ^ x>>32) * 0xcfee444d8b59a89b
	x = (x ^ x>>32) * 0xcfee444d8b59a89b
	return x ^ x>>32
}
