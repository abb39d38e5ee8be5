// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate // import "github.com/firebreak-otel/firebreak/internal/simulate"

// request is a call as it reaches its server.
type request struct {
	from   *instance
	tr     *trace
	parent uint64
	sc     *scope
}

// serve has an instance answer a request. reply is not called when nothing is ever answered.
func (s *Simulation) serve(in *instance, op *operation, req *request, reply func(result)) {
	if in.crashed || s.struck("down", in, op.name) {
		reply(result{kind: failRefused, message: "dial tcp " + in.ip + ":8080: connect: connection refused"})
		return
	}
	arrived := s.now
	s.acquire(req.sc, &in.workers, 0, fine, func(r result) {
		if !r.ok() {
			if r.kind == failShed {
				s.shed(in, op, req, reply)
			}
			return // the caller has gone
		}
		start := s.now
		if in.svc.def.SpanStarts == "arrival" {
			start = arrived
		}
		v := &incoming{in: in, op: op.name, from: req.from, tr: req.tr, parent: req.parent, id: s.newID(), start: start}
		if !in.svc.instrumented { // nothing hands the context on
			v.tr, v.parent = s.newTrace(), 0
			req = &request{from: req.from, tr: v.tr, sc: req.sc}
		}
		a := &act{in: in, from: req.from, op: op, tr: v.tr, span: v.id, sc: req.sc}
		if !in.svc.instrumented {
			a.span = 0
		}
		s.perform(a, func(r result) {
			s.release(&in.workers)
			s.serverSpan(v, r)
			s.outcome(a, r)
			r.answer, r.done = true, false
			reply(r)
		})
	})
}

// shed refuses a request because too many wait already.
func (s *Simulation) shed(in *instance, op *operation, req *request, reply func(result)) {
	v := &incoming{in: in, op: op.name, from: req.from, tr: req.tr, parent: req.parent, id: s.newID(), start: s.now, shed: true}
	r := result{kind: failShed, answer: true, message: "overloaded: request was shed"}
	s.after(s.quick()/4, func() {
		s.serverSpan(v, r)
		s.outcome(&act{in: in, op: op, tr: req.tr, span: v.id, sc: req.sc}, r)
		reply(r)
	})
}

// perform does the steps of an operation, with the faults of the operation itself.
func (s *Simulation) perform(a *act, done func(result)) {
	for _, f := range s.active["hang"] {
		if f.on(a.in, a.op.name) && s.happens(f) { // held until the caller gives up, or until it is over
			s.sleep(a.sc, max(0, s.endOf(f)-s.now), func(r result) {
				if !r.ok() {
					done(r)
					return
				}
				s.run(a, a.op.steps, 0, func(r result) { done(r.passedOn()) })
			})
			return
		}
	}
	for _, f := range s.active["auth"] {
		if f.hits(a) && s.happens(f) {
			s.work(a, s.quick()/2, func(r result) {
				done(pick(r, result{kind: failRejected, status: orInt(f.Status, 401), message: "token is not valid"}))
			})
			return
		}
	}
	if f := s.swallows(a); f != nil {
		s.work(a, s.quick(), func(r result) {
			s.exception(a, f)
			done(pick(r, result{done: true}))
		})
		return
	}
	f := s.failing(a)
	if f == nil {
		s.run(a, a.op.steps, 0, func(r result) { done(r.passedOn()) })
		return
	}
	// It breaks after its first own work.
	d := s.quick()
	if len(a.op.steps) > 0 && a.op.steps[0].db == nil {
		d = s.lasting(a.in, a.op.name, a.op.steps[0])
	}
	s.work(a, d, func(r result) { done(pick(r, f.result())) })
}

// pick is bad unless the work ended before its time.
func pick(r, otherwise result) result {
	if !r.ok() {
		return r
	}
	return otherwise
}

// result is how what a fault breaks ends.
func (f *Fault) result() result {
	r := result{kind: failError, status: orInt(f.Status, 500), code: f.Error, message: f.Message}
	if r.message == "" {
		r.message = "internal error"
	}
	switch {
	case r.status == 429:
		r.kind = failThrottled
	case r.status == 504:
		r.kind = failTimeout
	case r.status < 500:
		r.kind = failRejected
	}
	return r
}

func orInt(v, otherwise int) int {
	if v == 0 {
		return otherwise
	}
	return v
}

// struck says whether an instance's operation is under an active fault of a kind.
func (s *Simulation) struck(kind string, in *instance, op string) bool {
	for _, f := range s.active[kind] {
		if f.on(in, op) && s.happens(f) {
			return true
		}
	}
	return false
}

// failing is the fault that this run of an operation breaks by, nil for none.
func (s *Simulation) failing(a *act) *Fault {
	for _, f := range s.active["fail"] {
		if f.hits(a) && s.happens(f) {
			return f
		}
	}
	return nil
}

// hits says whether f concerns a run of its target's operation. With a caller, what narrows it narrows the caller.
func (f *Fault) hits(a *act) bool {
	if f.Caller != "" {
		return f.Target == a.in.svc.name && f.onCall(a.from, f.Target, a.op.name)
	}
	return f.Target == a.in.svc.name && f.on(a.in, a.op.name)
}

func (s *Simulation) swallows(a *act) *Fault {
	for _, f := range s.active["swallow"] {
		if f.on(a.in, a.op.name) && s.happens(f) {
			return f
		}
	}
	return nil
}

// slowness is the factor on the work of an operation.
func (s *Simulation) slowness(in *instance, op string) float64 {
	x := 1.0
	for _, f := range s.active["slow"] {
		if f.Target == in.svc.name && f.on(in, op) && s.happens(f) {
			x *= f.Factor
		}
	}
	for _, f := range s.active["cpu"] {
		if f.on(in, op) {
			x *= f.Factor
		}
	}
	for _, f := range s.active["host"] {
		if f.Host == in.host.name {
			x *= f.Factor
		}
	}
	for _, f := range s.active["leak"] {
		if f.on(in, op) {
			x *= s.leaked(f)
		}
	}
	return x
}

// leaked is how far a leak has come: from one to its factor.
func (s *Simulation) leaked(f *Fault) float64 {
	from, to := int64(f.From), int64(f.To)
	if to == 0 {
		to = int64(s.scenario.Duration)
	}
	share := float64(s.now-s.zero-from) / float64(max(1, to-from))
	return 1 + (f.Factor-1)*min(max(share, 0), 1)
}

// acceptDelay is how long an instance without processor time lets a connection wait.
func (s *Simulation) acceptDelay(in *instance) int64 {
	d := 0.0
	for _, f := range s.active["cpu"] {
		if f.on(in, "") || f.Op != "" && f.Target == in.svc.name {
			d += s.draw(0.3e6*f.Factor*f.Factor, 0.6)
		}
	}
	return int64(d)
}
