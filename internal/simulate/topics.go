// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate // import "github.com/firebreak-otel/firebreak/internal/simulate"

// publish sends a record and waits until it is acknowledged: one producer span.
func (s *Simulation) publish(a *act, st *step, done func(result)) {
	t := st.topic
	p := &outgoing{step: st, from: a.in, op: a.op.name, tr: a.tr, parent: a.span, id: s.newID(), start: s.now}
	p.key = s.rng.Uint64() % 10_000_000
	p.partition = s.partition(t, p.key)
	deadline := a.sc.deadline
	if st.Timeout > 0 {
		deadline = earlier(deadline, s.now+int64(st.Timeout))
	}
	over := false
	finish := func(r result) {
		if over {
			return
		}
		over = true
		a.sc.abort = nil
		s.producerSpan(p, r)
		done(r)
	}
	a.sc.abort = func() { finish(a.sc.why) }
	if deadline > 0 {
		s.at(deadline, func() { finish(result{kind: failTimeout, message: "context deadline exceeded"}) })
	}
	if s.storeDown(a.in, t.name) || s.storeDown(a.in, t.system) {
		s.sleepFree(s.quick(), func() { finish(result{kind: failRefused, message: "dial tcp: connect: connection refused"}) })
		return
	}
	ack := s.draw(t.ack, defaultSigma)
	for _, f := range s.active["broker"] {
		if f.Target == t.system || f.Target == t.name {
			ack *= f.Factor
		}
	}
	for _, kind := range []string{"hang", "partition"} {
		for _, f := range s.active[kind] {
			if f.Target == t.system || f.Target == t.name {
				return
			}
		}
	}
	s.after(int64(ack)+s.extraDelay(a.in, nil, t.name), func() {
		p.offset = t.offsets[p.partition]
		t.offsets[p.partition]++
		m := message{tr: p.tr, span: p.id, offset: p.offset, key: p.key}
		for _, g := range t.groups {
			if !s.absent[g.svc.name] {
				g.lanes[p.partition].line = append(g.lanes[p.partition].line, m)
				s.consume(g, g.lanes[p.partition])
			}
		}
		finish(fine)
	})
}

// floods is how many records a producer that is flooding sends instead of one.
func (s *Simulation) floods(in *instance, st *step, times int) int {
	x := float64(times)
	for _, f := range s.active["flood"] {
		if f.on(in, "") && f.Op == "" || f.Target == in.svc.name && f.Op == st.topic.name {
			x *= f.Factor
		}
	}
	return int(x)
}

func (s *Simulation) partition(t *topic, key uint64) int {
	for _, f := range s.active["hot"] {
		if f.Target == t.name && s.rng.Float64() < f.Ratio {
			return *f.Partition % t.partitions
		}
	}
	return int(key % uint64(t.partitions))
}

// consume takes the next record of a partition, if none is being taken; as many at a time as the traffic is above that
// which the capacities are meant for. What cannot be read holds up all.
func (s *Simulation) consume(g *group, l *lane) {
	most := s.grown(1)
	if s.poisoned(g, l) {
		most = 1
	}
	if l.busy >= most || l.head == len(l.line) {
		return
	}
	l.busy++
	m := l.line[l.head]
	l.line[l.head] = message{}
	if l.head++; l.head == len(l.line) {
		l.line, l.head = l.line[:0], 0
	}
	fetch := 0.05 * g.topic.fetch
	if l.head == 0 { // it had been waiting for records
		fetch = g.topic.fetch
	}
	for _, f := range s.active["broker"] {
		if f.Target == g.topic.system || f.Target == g.topic.name {
			fetch *= f.Factor
		}
	}
	s.after(int64(s.draw(fetch, defaultSigma)), func() { s.take(g, l, m, 0) })
}

const (
	consumerBackoff = 500e6
	rebalance       = 1e9
)

// take has the partition's owner process a record, again and again when it fails.
func (s *Simulation) take(g *group, l *lane, m message, tries int) {
	in := s.owner(g, l)
	if in == nil {
		s.after(rebalance, func() { s.take(g, l, m, tries) })
		return
	}
	c := &consumed{in: in, group: g, lane: l, message: m, tr: m.tr, parent: m.span, id: s.newID(), start: s.now, tries: tries}
	if g.def.Join != "parent" {
		c.tr, c.parent = s.newTrace(), 0
	}
	if !in.svc.instrumented {
		c.tr = s.newTrace()
	}
	a := &act{in: in, op: g.op, tr: c.tr, span: c.id, sc: &scope{}, topic: true}
	finish := func(r result) {
		r.done = false
		s.consumerSpan(c, r)
		s.outcome(a, r)
		if !r.ok() && (tries < g.def.Retries || s.poisoned(g, l)) {
			backoff := or(float64(g.def.Backoff), consumerBackoff)
			s.after(int64(backoff*(0.5+s.rng.Float64())), func() { s.take(g, l, m, tries+1) })
			return
		}
		l.busy--
		s.consume(g, l)
	}
	if s.poisoned(g, l) {
		s.work(a, s.quick()*2, func(r result) {
			finish(pick(r, result{kind: failError, code: "DeserializationException", message: "cannot decode record"}))
		})
		return
	}
	s.perform(a, finish)
}

func (s *Simulation) poisoned(g *group, l *lane) bool {
	for _, f := range s.active["poison"] {
		if f.Target == g.svc.name && (f.Op == "" || f.Op == g.topic.name) && *f.Partition%g.topic.partitions == l.number {
			return true
		}
	}
	return false
}

// owner is the instance that reads a partition: in turn among those that run.
func (s *Simulation) owner(g *group, l *lane) *instance {
	n := len(g.svc.instances)
	for i := range n {
		in := g.svc.instances[(l.number+i)%n]
		if !in.crashed && !s.struck("down", in, g.topic.name) {
			return in
		}
	}
	return nil
}
