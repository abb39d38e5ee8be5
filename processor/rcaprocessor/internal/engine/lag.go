// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"slices"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/blame"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/queue"
)

// Fitted on the simulator's scenarios with topics (1, 23 to 27, 38).
const (
	// leastHurt of a reader's units of work in trouble of their own is what its lag is due to, and more than moreHurt
	// times what is usual.
	leastHurt, moreHurt = 0.1, 3
	// hotShare of what is published goes to one partition that is hot, moreShare times what is usual.
	hotShare, moreShare = 0.4, 2
	// moreCalls is by how much more often a producer publishes each time it runs when the flood is its doing.
	moreCalls = 2
	// moreTraffic is by how much more is published when it is the readers that are too few.
	moreTraffic = 1.5
	// leastPublished is how many records it takes to speak of shares.
	leastPublished = 20
)

// lagCause is why records lie in a topic for long.
type lagCause uint8

const (
	lagBroker    lagCause = iota // nothing else explains it
	lagReader                    // what takes the records is in trouble, or what that waits for
	lagPartition                 // one partition gets most of them
	lagFlood                     // one producer publishes more each time that it runs
	lagTraffic                   // more is published, as more comes in
)

type lagKey struct {
	topic  graph.NodeID
	reader graph.OpID
}

type lagVerdict struct {
	owner  graph.NodeID
	reason blame.Reason
	why    lagCause
}

// attributeLag hands the rows of late records to whoever the lag is due to, and those of producers that publish far
// more than usual, each time as fast as ever, from the topic to the producer.
func (e *Engine) attributeLag(rows map[blame.Row]blame.Count, w *world) map[blame.Row]blame.Count {
	from, to := w.from, w.to
	known := map[lagKey]lagVerdict{}
	out := make(map[blame.Row]blame.Count, len(rows))
	for r, c := range rows {
		switch {
		case r.Reason == blame.Lag:
			k := lagKey{r.Node, r.Entry}
			v, ok := known[k]
			if !ok {
				if v = e.lagOwner(r.Node, r.Entry, rows, from, to); v.why == lagBroker {
					v = e.backlog(v, w)
				}
				known[k] = v
			}
			if v.owner != r.Node {
				r.Path = lagPath(r.Path, v)
			}
			r.Node, r.Reason = v.owner, v.reason
		case r.Reason == blame.Latency && e.graph.NodeAt(r.Node).Kind == call.NodeMessaging:
			if p := r.Path.Before(r.Node); p != 0 && p == e.flooder(r.Node, from, to) {
				r.Path.Cut(r.Node)
				r.Node, r.Waits = p, 0
			}
		}
		old := out[r]
		old.Add(c)
		out[r] = old
	}
	return out
}

// lagPath is the way from a reader to the owner of its lag.
func lagPath(p blame.Path, v lagVerdict) blame.Path {
	switch {
	case v.owner == p[0]:
		return blame.Path{v.owner}
	case v.why == lagReader:
		return blame.Path{p[0], v.owner}
	}
	return blame.Path{p[0], p[1], v.owner}
}

// backlog says what records that nothing else explains still wait for: the root of an open incident that their topic
// feels. What piled up outlasts what it piled up for.
func (e *Engine) backlog(v lagVerdict, w *world) lagVerdict {
	if w.Support(v.owner).Strength() >= blame.RootStrength {
		return v
	}
	for _, in := range e.keeper.Open() {
		for _, name := range append([]string{in.Verdict.Root}, in.Verdict.Members...) {
			root := graph.NodeID(0)
			e.graph.Named(name, func(n graph.NodeID) {
				if n != v.owner && w.Reaches(v.owner, n) {
					root = n
				}
			})
			if root != 0 {
				return lagVerdict{root, blame.Latency, lagReader}
			}
		}
	}
	return v
}

// lagOwner says whom the lag of a reader's records is due to in [from, to), whose hurt units of work are rows.
func (e *Engine) lagOwner(topic graph.NodeID, reader graph.OpID, rows map[blame.Row]blame.Count, from, to int64) lagVerdict {
	service := e.graph.OpAt(reader).Node
	if v, ok := e.readerInTrouble(topic, service, rows, from, to); ok {
		return v
	}
	if _, hot := e.hotPartition(topic, from, to); hot {
		return lagVerdict{topic, blame.Lag, lagPartition}
	}
	if p := e.flooder(topic, from, to); p != 0 {
		return lagVerdict{p, blame.Lag, lagFlood}
	}
	if now, normal := e.publishRate(topic, from, to); normal > 0 && now > moreTraffic*normal {
		return lagVerdict{service, blame.Saturation, lagTraffic}
	}
	return lagVerdict{topic, blame.Lag, lagBroker}
}

// readerInTrouble says whom a reader's own hurt units of work point to, when there are far more than usual, or when
// one partition fails again and again.
func (e *Engine) readerInTrouble(topic, service graph.NodeID, rows map[blame.Row]blame.Count, from, to int64) (lagVerdict, bool) {
	var taken, usual, all int64
	stuck := false
	for i := 1; i < len(e.ops); i++ {
		op := graph.OpID(i)
		if !e.reads(op, topic, service) {
			continue
		}
		st := &e.ops[i]
		taken += int64(st.total.Window(from, to).N)
		usual += st.entry.allBad + st.entry.allSlow
		all += st.entry.allUnits
		stuck = stuck || st.reader.stuck()
	}
	type suspect struct {
		node   graph.NodeID
		reason blame.Reason
	}
	hurt, total := map[suspect]int64{}, int64(0)
	for r, c := range rows {
		if r.Reason == blame.Lag || !e.reads(r.Entry, topic, service) || stuck && r.Reason == blame.Latency {
			continue
		}
		hurt[suspect{r.Node, r.Reason}] += c.Units
		total += c.Units
	}
	if !stuck && (total < 3 || ratio(total, taken) < max(leastHurt, moreHurt*ratio(usual, all))) || total == 0 {
		return lagVerdict{}, false
	}
	var best suspect
	most := int64(0)
	for s, n := range hurt {
		if n > most || n == most && (e.NodeName(s.node) < e.NodeName(best.node) || s.node == best.node && s.reason < best.reason) {
			best, most = s, n
		}
	}
	return lagVerdict{best.node, best.reason, lagReader}, true
}

// reads says that op is one by which a service takes records of a topic.
func (e *Engine) reads(op graph.OpID, topic, service graph.NodeID) bool {
	o := e.graph.OpAt(op)
	return o.Role == call.RoleConsumer && o.Node == service && (o.Peer == topic || o.Peer == 0)
}

// stuck says that a partition fails again and again.
func (r *readerStats) stuck() bool {
	return r != nil && slices.ContainsFunc(r.lanes, func(l readerLane) bool { return l.gate.Failing() })
}

// hotPartition returns the partition that gets most of what is published to a topic and usually does not. Where
// producers do not say the partition, it is the one of which most is late.
func (e *Engine) hotPartition(topic graph.NodeID, from, to int64) (queue.Lane, bool) {
	t := e.node(topic).topic
	if t == nil || len(t.lanes) < 2 {
		return 0, false
	}
	var most, sum, usual, usualSum int64
	var lane queue.Lane
	for i := range t.lanes {
		l := &t.lanes[i]
		now, _ := l.counts.Window(from, to)
		normal, _ := l.counts.Normal()
		sum += now[0]
		usualSum += normal[0]
		if now[0] > most || now[0] == most && l.lane < lane {
			most, usual, lane = now[0], normal[0], l.lane
		}
	}
	hot := sum >= leastPublished && ratio(most, sum) > max(hotShare, moreShare*ratio(usual, usualSum))
	return lane, hot
}

// flooder returns the service of which an operation publishes far more to a topic each time that it runs, 0 for none.
func (e *Engine) flooder(topic graph.NodeID, from, to int64) graph.NodeID {
	var owner graph.NodeID
	most := 0.0
	for i := 1; i < len(e.ops); i++ {
		op := graph.OpID(i)
		o := e.graph.OpAt(op)
		if o.Role.Outgoing() {
			continue
		}
		now, normal := e.fanOut(op, topic, from, to)
		if normal == 0 || now < moreCalls*normal {
			continue
		}
		more := (now - normal) * float64(e.ops[i].own.Window(from, to).N)
		if more > most || more == most && e.NodeName(o.Node) < e.NodeName(owner) {
			owner, most = o.Node, more
		}
	}
	return owner
}

// publishRate returns how many records a second are published to a topic, in [from, to) and normally; 0 where nothing
// is known.
func (e *Engine) publishRate(topic graph.NodeID, from, to int64) (now, normal float64) {
	t := e.node(topic).topic
	if t == nil {
		return 0, 0
	}
	n, seconds := t.all.Window(from, to)
	past, long := t.all.Normal()
	if seconds <= 0 || long <= 0 {
		return 0, 0
	}
	return float64(n[0]) / seconds, float64(past[0]) / long
}
