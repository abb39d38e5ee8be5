// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate // import "github.com/firebreak-otel/firebreak/internal/simulate"

import "fmt"

const defaultBackoff = 50e6

// call is a logical call: attempts until one succeeds, or no more are to be made.
func (s *Simulation) call(a *act, st *step, done func(result)) {
	var br *breaker
	if st.breaker != nil {
		if br = st.breaker[a.in]; br == nil {
			br = &breaker{}
			st.breaker[a.in] = br
		}
		if s.now < br.openUntil {
			done(result{kind: failBreaker, message: "circuit breaker is open"})
			return
		}
	}
	tries := 0
	var try func()
	ended := func(r result) {
		if br != nil {
			br.note(s.now, r.ok())
		}
		if r.ok() || !r.retryable() || tries > st.Retries || a.sc.dead {
			done(r)
			return
		}
		backoff := or(float64(st.Backoff), defaultBackoff) * float64(int64(1)<<min(tries-1, 10)) * (0.5 + s.rng.Float64())
		s.sleep(a.sc, int64(backoff), func(r result) {
			if !r.ok() {
				done(r)
				return
			}
			try()
		})
	}
	try = func() {
		tries++
		if st.Hedge > 0 {
			s.hedged(a, st, tries-1, ended)
			return
		}
		s.attempt(a, st, tries-1, a.sc, ended)
	}
	try()
}

// hedged sends a second attempt when the first takes long. The first answer counts; the other is cancelled.
func (s *Simulation) hedged(a *act, st *step, n int, done func(result)) {
	var scopes []*scope
	running, over := 0, false
	send := func() {
		sc := a.sc.child(0)
		scopes = append(scopes, sc)
		running++
		s.attempt(a, st, n+len(scopes)-1, sc, func(r result) {
			a.sc.leave(sc)
			running--
			if over || !r.ok() && running > 0 {
				return
			}
			over = true
			for _, other := range scopes {
				if other != sc {
					other.cancel(result{kind: failCancelled, message: "context canceled"})
				}
			}
			done(r)
		})
	}
	send()
	s.after(int64(st.Hedge), func() {
		if !over && !a.sc.dead {
			send()
		}
	})
}

// attempt is one request on the wire: one client span.
func (s *Simulation) attempt(a *act, st *step, n int, sc *scope, done func(result)) {
	if sc.dead {
		done(sc.why)
		return
	}
	c := &outgoing{step: st, from: a.in, op: a.op.name, tr: a.tr, parent: a.span, id: s.newID(), start: s.now, resend: n}
	deadline := sc.deadline
	if st.Timeout > 0 {
		deadline = earlier(deadline, s.now+int64(st.Timeout))
	}
	if st.svc != nil {
		c.to = s.pick(st.svc)
	}
	propagates := c.to == nil || c.to.svc.def.OnTimeout != "continue"
	remote := &scope{}
	if propagates {
		remote.deadline = deadline
	}
	over := false
	finish := func(r result) {
		if over {
			return
		}
		over = true
		sc.abort = nil
		s.clientSpan(c, r)
		done(r)
	}
	giveUp := func(why result) {
		if propagates {
			s.after(s.wire(), func() { remote.cancel(why) })
		}
		finish(why)
	}
	sc.abort = func() { giveUp(sc.why) }
	if deadline > 0 {
		s.at(deadline, func() {
			if !over {
				giveUp(result{kind: failTimeout, message: "context deadline exceeded"})
			}
		})
	}
	target := st.Call
	if r, bad := s.preventConnect(a.in, target, st.Op); bad {
		s.sleepFree(r.after, func() { finish(r.result) })
		return
	}
	there, lost := s.network(a.in, c.to, target)
	if lost {
		return // nothing comes back: the deadline ends it
	}
	back := func(r result) {
		s.after(s.wire()+s.extraDelay(c.to, a.in, target), func() { finish(r) })
	}
	if st.ext != nil {
		s.after(there, func() { s.external(st, remote, back) })
		return
	}
	s.after(there, func() {
		s.serve(c.to, st.op, &request{from: a.in, tr: a.tr, parent: c.id, sc: remote}, back)
	})
}

// pick chooses the instance that is asked, in turn. Those that are known to be gone are left out.
func (s *Simulation) pick(svc *service) *instance {
	svc.next++
	return svc.instances[svc.next%len(svc.instances)]
}

// prevented is a call that fails before a byte was sent.
type prevented struct {
	result
	after int64
}

// preventConnect says whether name resolution or the handshake fails.
func (s *Simulation) preventConnect(from *instance, target, op string) (prevented, bool) {
	for _, f := range s.active["dns"] {
		if f.onCall(from, target, op) && s.happens(f) {
			return prevented{result{kind: failDNS, message: fmt.Sprintf("dial tcp: lookup %s: no such host", s.address(target))}, s.quick()}, true
		}
	}
	for _, f := range s.active["tls"] {
		if f.onCall(from, target, op) && s.happens(f) {
			return prevented{result{kind: failTLS, message: "tls: failed to verify certificate: x509: certificate has expired or is not yet valid"}, s.quick()}, true
		}
	}
	return prevented{}, false
}

// happens draws whether a fault with a ratio strikes this time.
func (s *Simulation) happens(f *Fault) bool { return f.Ratio == 0 || s.rng.Float64() < f.Ratio }

// quick is how long it takes to fail at once.
func (s *Simulation) quick() int64 { return int64(s.draw(0.8e6, 0.4)) }

// wire is one way through a healthy network.
func (s *Simulation) wire() int64 { return int64(s.draw(0.15e6, 0.3)) }

const retransmit = 200e6

// network is how long a request takes to get there, and whether it ever does.
func (s *Simulation) network(from, to *instance, target string) (int64, bool) {
	for _, f := range s.active["partition"] {
		if f.cuts(from, to, target) {
			return 0, true
		}
	}
	d := s.wire() + s.extraDelay(from, to, target)
	for _, f := range s.active["network"] {
		if f.links(from, to, target) {
			for wait := int64(retransmit); f.Ratio > 0 && s.rng.Float64() < f.Ratio && wait < 32*retransmit; wait *= 2 {
				d += wait
			}
		}
	}
	if to != nil {
		d += s.acceptDelay(to)
	}
	return d, false
}

// extraDelay is what faults of the network add to one way.
func (s *Simulation) extraDelay(from, to *instance, target string) (d int64) {
	for _, f := range s.active["network"] {
		if f.Delay > 0 && f.links(from, to, target) {
			d += int64(s.draw(float64(f.Delay), 0.2))
		}
	}
	return d
}

// links says whether f lies on the way between two instances, in either direction. Without a caller it lies on
// all ways into and out of the target.
func (f *Fault) links(a, b *instance, target string) bool {
	return f.joins(a, b, target) || f.joins(b, a, target)
}

func (f *Fault) joins(from, to *instance, target string) bool {
	if f.Caller != "" && (from == nil || from.svc.name != f.Caller) {
		return false
	}
	if f.Zone != "" && (from == nil || from.host.zone != f.Zone) {
		return false
	}
	if f.Instance != "" && (from == nil || from.id != f.Instance) && (to == nil || to.id != f.Instance) {
		return false
	}
	return f.Target == "" || f.Target == target || to != nil && f.Target == to.svc.name
}

// cuts says whether f keeps two from each other: a zone from all that is not in it, or what links says.
func (f *Fault) cuts(from, to *instance, target string) bool {
	if f.Zone == "" {
		return f.links(from, to, target)
	}
	other := ""
	if to != nil {
		other = to.host.zone
	}
	return (from.host.zone == f.Zone) != (other == f.Zone) && (f.Target == "" || f.Target == target)
}
