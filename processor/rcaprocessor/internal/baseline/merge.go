// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package baseline

// Merge adds what other saw of other calls of the same thing, up to the later of both. taint must know of what was
// under suspicion with either. other is moved on in time, nothing else.
func (s *Series) Merge(other *Series, taint Taint) {
	now := max(s.cell, other.cell)
	for _, one := range []*Series{s, other} {
		if now > one.cell {
			one.roll(now, taint)
		}
	}
	for i := range s.recent {
		s.recent[i].Add(&other.recent[i])
		s.spreads[i].Slow += other.spreads[i].Slow
		s.spreads[i].Squares += other.spreads[i].Squares
	}
	s.good |= other.good
	for k := max(1, now-Recent+1); k <= now; k++ {
		if suspected(k, taint) {
			s.good &^= 1 << (k % Recent)
		}
	}
	for m := max(0, other.minute-hour+1); m <= other.minute; m++ {
		if c := &other.past[m%hour]; c.N > 0 {
			s.remember(m, c)
		}
	}
	s.young.Add(&other.young)
	s.waiting.Add(&other.waiting)
	s.normal.Add(&other.normal)
	s.usual = usual{}
}
