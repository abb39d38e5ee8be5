// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate // import "github.com/firebreak-otel/firebreak/internal/simulate"

// trace is one trace's identity; what is not sampled leaves no spans.
type trace struct {
	id      [16]byte
	sampled bool
}

// act is an operation while it runs.
type act struct {
	in    *instance
	from  *instance // caller, nil for a user or a record
	op    *operation
	tr    *trace
	span  uint64 // parent of what it calls
	sc    *scope
	topic bool // reads a record: no caller waits
}

// run does the steps from i on, one after the other, and calls done with the first failure, or with fine.
func (s *Simulation) run(a *act, steps []*step, i int, done func(result)) {
	for i < len(steps) && !s.applies(a, steps[i]) {
		i++
	}
	if i == len(steps) {
		done(fine)
		return
	}
	if a.sc.dead {
		done(a.sc.why)
		return
	}
	st := steps[i]
	next := func(r result) {
		if r.ok() && !r.done {
			s.run(a, steps, i+1, done)
			return
		}
		done(r)
	}
	times := max(1, st.Times)
	if st.Publish != "" {
		times = s.floods(a.in, st, times)
	}
	if times == 1 {
		s.step(a, st, next)
		return
	}
	var again func(result)
	again = func(r result) {
		if times--; times < 0 || !r.ok() {
			next(r)
			return
		}
		s.step(a, st, again)
	}
	again(fine)
}

func (s *Simulation) applies(a *act, st *step) bool {
	if st.Flag != "" && !a.in.svc.flags[st.Flag] || st.Unless != "" && a.in.svc.flags[st.Unless] {
		return false
	}
	return st.Chance == 0 || s.rng.Float64() < st.Chance
}

// step does one step. A failure that has a fallback, or is to be ignored, ends well.
func (s *Simulation) step(a *act, st *step, done func(result)) {
	if st.fallback != nil || st.IgnoreErrors {
		then := done
		done = func(r result) {
			if r.ok() || a.sc.dead {
				then(r)
				return
			}
			s.warn(a, r)
			s.run(a, st.fallback, 0, then)
		}
	}
	switch {
	case st.Call != "":
		s.call(a, st, done)
	case st.DB != "":
		s.query(a, st, st.Verb, s.lasting(a.in, a.op.name, st), done)
	case st.Cache != "":
		s.lookUp(a, st, done)
	case st.Publish != "":
		s.publish(a, st, done)
	case len(st.branches) > 0:
		s.parallel(a, st, done)
	case st.Lock != "":
		l := a.in.locks[st.Lock]
		if l == nil {
			l = &pool{size: 1}
			a.in.locks[st.Lock] = l
		}
		s.acquire(a.sc, l, 0, fine, func(r result) {
			if !r.ok() {
				done(r)
				return
			}
			s.work(a, s.lasting(a.in, a.op.name, st), func(r result) {
				s.release(l)
				done(r)
			})
		})
	case st.Log != "":
		s.log(a, st.Level, st.Log)
		done(fine)
	case st.Return:
		done(result{done: true})
	case st.Fail > 0:
		if s.rng.Float64() >= st.Fail {
			done(fine)
			return
		}
		f := Fault{Status: st.Status, Message: st.Message}
		done(f.result())
	default:
		s.work(a, s.lasting(a.in, a.op.name, st), done)
	}
}

// lasting draws how long the work of a step takes; for work of the service itself, with the faults that slow it.
func (s *Simulation) lasting(in *instance, op string, st *step) int64 {
	if st.work == 0 {
		return 0
	}
	d := s.draw(st.work, st.sigma)
	if st.db == nil {
		d *= s.slowness(in, op)
	}
	return int64(d)
}

// work keeps an instance busy for d; pauses of the instance lengthen it.
func (s *Simulation) work(a *act, d int64, done func(result)) {
	in := a.in
	lost := in.lost
	if s.now < in.paused {
		lost -= in.paused - s.now
	}
	var wake func(result)
	wake = func(r result) {
		if extra := in.lost - lost; r.ok() && extra > 0 {
			lost = in.lost
			s.sleep(a.sc, extra, wake)
			return
		}
		done(r)
	}
	if d == 0 && lost == in.lost {
		done(fine)
		return
	}
	s.sleep(a.sc, d, wake)
}

// pause stops an instance until a time.
func (s *Simulation) pause(in *instance, until int64) {
	if until <= in.paused {
		return
	}
	in.lost += until - max(in.paused, s.now)
	in.paused = until
}

// parallel does branches at once. The first failure is the step's; with CancelOnError it ends the others.
func (s *Simulation) parallel(a *act, st *step, done func(result)) {
	left := len(st.branches)
	bad := fine
	kids := make([]*scope, left)
	for i := range kids {
		kids[i] = a.sc.child(0)
	}
	for i, b := range st.branches {
		branch := *a
		branch.sc = kids[i]
		s.run(&branch, b, 0, func(r result) {
			a.sc.leave(kids[i])
			left--
			if !r.ok() && bad.ok() {
				bad = r
				if st.CancelOnError {
					for j, k := range kids {
						if j != i {
							k.cancel(result{kind: failCancelled, message: "context canceled"})
						}
					}
				}
			}
			if left == 0 {
				done(bad)
			}
		})
	}
}

// breaker is a caller's own, a simple one: open for five seconds when most of the last calls failed.
type breaker struct {
	calls, failed int
	openUntil     int64
}

const (
	breakerCalls = 20
	breakerOpen  = 5e9
)

func (b *breaker) note(now int64, ok bool) {
	b.calls++
	if !ok {
		b.failed++
	}
	if b.calls >= breakerCalls {
		if 2*b.failed > b.calls {
			b.openUntil = now + breakerOpen
		}
		b.calls, b.failed = 0, 0
	}
}
