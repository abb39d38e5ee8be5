// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate // import "github.com/firebreak-otel/firebreak/internal/simulate"

// query sends one statement: a connection from the pool, then the way there, a worker, the table, and the work.
func (s *Simulation) query(a *act, st *step, verb string, d int64, done func(result)) {
	conns := a.in.pools[st.db.name]
	if conns == nil {
		s.statement(a, st, verb, d, done)
		return
	}
	late := result{kind: failPool, message: "timeout: no connection to " + st.db.name + " came free in the pool"}
	s.acquire(a.sc, &conns.pool, conns.timeout, late, func(r result) {
		if !r.ok() {
			done(r)
			return
		}
		s.statement(a, st, verb, d, func(r result) {
			s.release(&conns.pool)
			done(r)
		})
	})
}

// statement is one client span.
func (s *Simulation) statement(a *act, st *step, verb string, d int64, done func(result)) {
	db := st.db
	q := &outgoing{step: st, from: a.in, op: a.op.name, tr: a.tr, parent: a.span, id: s.newID(), start: s.now, verb: verb}
	deadline := a.sc.deadline
	if st.Timeout > 0 {
		deadline = earlier(deadline, s.now+int64(st.Timeout))
	}
	remote := &scope{deadline: deadline}
	over := false
	finish := func(r result) {
		if over {
			return
		}
		over = true
		a.sc.abort = nil
		r.answer = false
		if r.kind == failError || r.kind == failRejected { // a service answers 500 for what its store refuses
			r.kind, r.status = failError, 500
		}
		// What comes back while the process is stopped is seen when it goes on.
		if wait := a.in.paused - s.now; wait > 0 {
			s.after(wait, func() { s.storeSpan(q, r); done(r) })
			return
		}
		s.storeSpan(q, r)
		done(r)
	}
	giveUp := func(why result) {
		remote.cancel(why)
		finish(why)
	}
	a.sc.abort = func() { giveUp(a.sc.why) }
	if deadline > 0 {
		s.at(deadline, func() {
			if !over {
				giveUp(result{kind: failTimeout, message: "context deadline exceeded"})
			}
		})
	}
	if r, bad := s.preventConnect(a.in, db.name, ""); bad {
		s.sleepFree(r.after, func() { finish(r.result) })
		return
	}
	if s.storeDown(a.in, db.name) {
		s.sleepFree(s.quick(), func() {
			finish(result{kind: failRefused, message: "failed to connect to " + db.address + ": connect: connection refused"})
		})
		return
	}
	there, lost := s.network(a.in, nil, db.name)
	if lost {
		return
	}
	s.after(there, func() {
		s.execute(a.in, db, st, remote, d, func(r result) {
			s.after(s.wire()+s.extraDelay(a.in, nil, db.name), func() { finish(r) })
		})
	})
}

// execute is what the store does with a statement.
func (s *Simulation) execute(from *instance, db *database, st *step, sc *scope, d int64, reply func(result)) {
	for _, f := range s.active["fail"] {
		if f.stores(from, db.name, st.Table) && s.happens(f) {
			s.after(s.quick()/4, func() {
				reply(result{kind: failError, code: f.Error, message: or0(f.Message, "ERROR: statement failed")})
			})
			return
		}
	}
	for _, f := range s.active["auth"] {
		if f.onCall(from, db.name, "") && f.Target != "" && s.happens(f) {
			s.after(s.quick(), func() {
				reply(result{kind: failError, code: "28P01", message: "FATAL: password authentication failed (SQLSTATE 28P01)"})
			})
			return
		}
	}
	for _, f := range s.active["slow"] {
		if f.stores(from, db.name, st.Table) {
			d = int64(float64(d) * f.Factor)
		}
	}
	for _, f := range s.active["leak"] {
		if f.stores(from, db.name, st.Table) {
			d = int64(float64(d) * s.leaked(f))
		}
	}
	for _, kind := range []string{"lock", "hang"} {
		for _, f := range s.active[kind] {
			if f.stores(from, db.name, st.Table) {
				s.held(f, kind == "lock", db, sc, d, reply)
				return
			}
		}
	}
	s.acquire(sc, &db.workers, 0, fine, func(r result) {
		if !r.ok() {
			return // given up: the client's span is written already
		}
		s.sleep(sc, d, func(r result) {
			s.release(&db.workers)
			if r.ok() {
				reply(r)
			}
		})
	})
}

// held keeps a statement waiting until a lock falls; what hangs is lost.
func (s *Simulation) held(f *Fault, falls bool, db *database, sc *scope, d int64, reply func(result)) {
	if !falls {
		return
	}
	s.sleep(sc, max(0, s.endOf(f)-s.now), func(r result) {
		if !r.ok() {
			return
		}
		s.acquire(sc, &db.workers, 0, fine, func(r result) {
			if !r.ok() {
				return
			}
			s.sleep(sc, d, func(r result) {
				s.release(&db.workers)
				if r.ok() {
					reply(r)
				}
			})
		})
	})
}

// stores says whether f concerns statements of an instance on a table of a store.
func (f *Fault) stores(from *instance, db, table string) bool {
	return f.Target == db && (f.Table == "" || f.Table == table) && (f.Caller == "" || f.Caller == from.svc.name) &&
		(f.Zone == "" || f.Zone == from.host.zone)
}

func (s *Simulation) storeDown(from *instance, name string) bool {
	for _, f := range s.active["down"] {
		if f.Target == name && (f.Caller == "" || f.Caller == from.svc.name) && s.happens(f) {
			return true
		}
	}
	return false
}

// lookUp asks a cache; on a miss, or when the cache fails, it does the steps that the cache saves, and sets.
func (s *Simulation) lookUp(a *act, st *step, done func(result)) {
	hit := s.rng.Float64() < st.Hit*st.db.warm
	s.query(a, st, "get", s.lasting(a.in, a.op.name, st), func(r result) {
		if r.ok() && hit {
			done(fine)
			return
		}
		if !r.ok() && (a.sc.dead || len(st.miss) == 0) {
			done(r)
			return
		}
		if !r.ok() {
			s.warn(a, r)
		}
		broken := !r.ok()
		s.run(a, st.miss, 0, func(r result) {
			if !r.ok() || broken {
				done(r)
				return
			}
			if st.db.keys > 0 {
				st.db.warm += (1 - st.db.warm) / (st.db.keys * s.growth)
			}
			s.query(a, st, "set", s.lasting(a.in, a.op.name, st), done)
		})
	})
}

// external is a call to a third party, at its place.
func (s *Simulation) external(st *step, sc *scope, reply func(result)) {
	e := st.ext
	answer := func(d int64, r result) {
		r.answer = true
		s.sleep(sc, d, func(gone result) {
			if gone.ok() {
				reply(r)
			}
		})
	}
	for _, f := range s.active["down"] {
		if f.Target == e.name && s.happens(f) {
			answer(s.quick(), result{kind: failRefused, message: "dial tcp: connect: connection refused"})
			return
		}
	}
	for _, f := range s.active["hang"] {
		if f.Target == e.name && s.happens(f) {
			return
		}
	}
	quota := e.quota
	for _, f := range s.active["quota"] {
		if f.Target == e.name {
			quota = f.Rate * s.growth
		}
	}
	if quota > 0 {
		e.tokens = min(quota, e.tokens+quota*float64(s.now-e.filled)/1e9)
		e.filled = s.now
		if e.tokens < 1 {
			answer(2*s.quick(), result{kind: failThrottled, status: 429, message: "429 Too Many Requests"})
			return
		}
		e.tokens--
	}
	for _, f := range s.active["fail"] {
		if f.Target == e.name && (f.Op == "" || f.Op == st.Op) && s.happens(f) {
			answer(4*s.quick(), f.result())
			return
		}
	}
	for _, f := range s.active["auth"] {
		if f.Target == e.name && s.happens(f) {
			answer(4*s.quick(), result{kind: failRejected, status: orInt(f.Status, 401), message: "401 Unauthorized"})
			return
		}
	}
	d := s.draw(e.latency, e.sigma)
	for _, f := range s.active["slow"] {
		if f.Target == e.name && (f.Op == "" || f.Op == st.Op) && s.happens(f) {
			d *= f.Factor
		}
	}
	answer(int64(d), fine)
}

func or0(v, otherwise string) string {
	if v == "" {
		return otherwise
	}
	return v
}
