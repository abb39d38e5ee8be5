// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate // import "github.com/firebreak-otel/firebreak/internal/simulate"

// scope is a piece of work that can be given up: by its own deadline, by its caller's, by a failed sibling.
type scope struct {
	dead     bool
	why      result
	deadline int64  // 0: none
	abort    func() // ends the wait that the work is in
	kids     []*scope
}

func (sc *scope) child(deadline int64) *scope {
	k := &scope{dead: sc.dead, why: sc.why, deadline: earlier(sc.deadline, deadline)}
	sc.kids = append(sc.kids, k)
	return k
}

func (sc *scope) leave(k *scope) {
	for i, c := range sc.kids {
		if c == k {
			sc.kids = append(sc.kids[:i], sc.kids[i+1:]...)
			return
		}
	}
}

func (sc *scope) cancel(why result) {
	if sc.dead {
		return
	}
	sc.dead, sc.why = true, why
	kids := sc.kids
	sc.kids = nil
	for _, k := range kids {
		k.cancel(why)
	}
	if abort := sc.abort; abort != nil {
		sc.abort = nil
		abort()
	}
}

// earlier is the lesser of two times of which 0 is never.
func earlier(a, b int64) int64 {
	if a == 0 || b != 0 && b < a {
		return b
	}
	return a
}

// pool is so many places, and a line before them: worker threads, connections, a lock.
type pool struct {
	size, used int
	longest    int // of the line; 0: no bound
	line       []*waiter
	head       int
	waiting    int
}

type waiter struct {
	gone bool
	take func()
}

// acquire calls then once a place is held, or with a failure: the line is full, patience (ns; 0: endless) is at
// its end, or the work was given up.
func (s *Simulation) acquire(sc *scope, p *pool, patience int64, late result, then func(result)) {
	if sc.dead {
		then(sc.why)
		return
	}
	if p.used < p.size && p.waiting == 0 {
		p.used++
		then(fine)
		return
	}
	if p.longest > 0 && p.waiting >= p.longest {
		then(result{kind: failShed, message: "queue is full"})
		return
	}
	w := &waiter{}
	p.line = append(p.line, w)
	p.waiting++
	leave := func(r result) {
		w.gone = true
		p.waiting--
		then(r)
	}
	sc.abort = func() { leave(sc.why) }
	w.take = func() {
		sc.abort = nil
		w.gone = true
		p.waiting--
		p.used++
		then(fine)
	}
	if patience > 0 {
		s.after(patience, func() {
			if !w.gone {
				sc.abort = nil
				leave(late)
			}
		})
	}
}

func (s *Simulation) release(p *pool) {
	p.used--
	s.admit(p)
}

// admit lets in who is first in line while there is a place.
func (s *Simulation) admit(p *pool) {
	for p.used < p.size && p.head < len(p.line) {
		w := p.line[p.head]
		p.line[p.head] = nil
		p.head++
		if !w.gone {
			w.take()
		}
	}
	if p.head == len(p.line) {
		p.line, p.head = p.line[:0], 0
	} else if p.head > 1024 && p.head > len(p.line)/2 {
		p.line = append(p.line[:0], p.line[p.head:]...)
		p.head = 0
	}
}

// sleep calls then after d nanoseconds, or at once when the work is given up.
func (s *Simulation) sleep(sc *scope, d int64, then func(result)) {
	if sc.dead {
		then(sc.why)
		return
	}
	done := false
	sc.abort = func() {
		done = true
		then(sc.why)
	}
	s.after(d, func() {
		if !done {
			done = true
			sc.abort = nil
			then(fine)
		}
	})
}
