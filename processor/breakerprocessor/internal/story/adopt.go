// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package story

import (
	"cmp"
	"slices"
	"sort"

	"github.com/firebreak-otel/firebreak/internal/call"
)

const (
	// skew is how far the clocks of two hosts may be apart for a call to be found that a span belongs to.
	skew = int64(100e6)
	// maxLooks bounds the calls that are looked at for each group of orphans.
	maxLooks = 8
)

// waiting is a call whose answering span is not there.
type waiting struct {
	callee uint32
	call   int32
}

// adopt finds the calls whose answering span is missing while its children are there, and hangs the children below
// the call. It says whether there are any. Of the calls to that service the last takes them that had begun when the
// first of the children did. A call takes only what begins after the root of its own tree, so that no circle forms.
func (t *Teller) adopt() bool {
	if t.Callee == nil || !t.findOrphans() || !t.findWaiting() {
		return false
	}
	slices.SortFunc(t.orphans, func(a, b int32) int {
		s, u := &t.spans[a], &t.spans[b]
		return cmp.Or(cmp.Compare(s.Instance, u.Instance), cmp.Compare(s.Parent(), u.Parent()), cmp.Compare(a, b))
	})
	slices.SortFunc(t.waiting, func(a, b waiting) int {
		return cmp.Or(cmp.Compare(a.callee, b.callee), cmp.Compare(a.call, b.call))
	})
	adopted := false
	for from := 0; from < len(t.orphans); {
		to := from + 1
		for to < len(t.orphans) && t.siblings(t.orphans[from], t.orphans[to]) {
			to++
		}
		if c := t.caller(t.orphans[from]); c != none {
			adopted = true
			for k := to - 1; k >= from; k-- {
				t.hang(c, t.orphans[k])
			}
		}
		from = to
	}
	return adopted
}

func (t *Teller) siblings(a, b int32) bool {
	s, u := &t.spans[a], &t.spans[b]
	return s.Instance == u.Instance && s.Parent() == u.Parent()
}

func (t *Teller) findOrphans() bool {
	t.orphans = t.orphans[:0]
	for i := range t.nodes {
		n := &t.nodes[i]
		if n.Partial && n.Parent == none && t.spans[i].Role() != call.RoleConsumer {
			t.orphans = append(t.orphans, int32(i))
		}
	}
	return len(t.orphans) > 0
}

func (t *Teller) findWaiting() bool {
	t.waiting = t.waiting[:0]
	for i := range t.spans {
		s := &t.spans[i]
		if s.Role() != call.RoleClient || s.Op == 0 || t.works[i].answer != none || t.nodes[i].Duplicate {
			continue
		}
		if s.Reason() == call.ReasonUnreachable || rejected(s) {
			continue // nobody has seen it
		}
		if callee, ok := t.Callee(s.Op); ok {
			t.waiting = append(t.waiting, waiting{callee, int32(i)})
		}
	}
	return len(t.waiting) > 0
}

// caller finds the call that the orphan, the first of its group, belongs to.
func (t *Teller) caller(orphan int32) int32 {
	o := &t.spans[orphan]
	k := sort.Search(len(t.waiting), func(k int) bool {
		w := &t.waiting[k]
		return w.callee > o.Instance || w.callee == o.Instance && t.spans[w.call].Start()-skew > o.Start()
	})
	for look := 0; look < maxLooks; look++ {
		if k--; k < 0 || t.waiting[k].callee != o.Instance {
			break
		}
		c := t.waiting[k].call
		w := &t.works[c]
		if t.spans[c].End+skew >= o.Start() && w.adopted == none && w.root < orphan {
			return c
		}
	}
	return none
}

// hang puts the orphan below call c. An incoming span that is reached by way of one that is not there, a proxy, answers.
func (t *Teller) hang(c, orphan int32) {
	w := &t.works[c]
	t.works[orphan].up = c
	t.works[orphan].nextAdopted = w.adopted
	w.adopted = orphan
	if t.spans[orphan].Role() == call.RoleServer {
		w.answer = orphan
	}
}
