// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

// accept takes for normal what an incident has been about for too long: all that was heard of lately is compared with
// how it has lately been. What was normal before is as old as the incident. What was under suspicion stays so for those
// that were not heard of: it is no level of theirs.
func (e *Engine) accept() {
	for i := range e.ops {
		st := &e.ops[i]
		if st.habits.frozen {
			st.habits, st.awaits, st.runs = habits{listed: true}, [maxAwaits]await{}, 0
		}
		st.own.Accept(e.now)
		level := st.total.Accept(e.now)
		if en := &st.entry; level.N > 0 && en.allUnits > 0 {
			en.allUnits, en.allBad, en.allSlow = int64(level.N), int64(level.Bad), 0
		}
	}
}
