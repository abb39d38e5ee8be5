// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/baseline"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/blame"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/cause"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// lately is the end of a window in which a cause must still be at work, or is past.
const lately = 20 * second

// deviates: z beyond which a time is not normal, as of the design page's evidence families.
const deviates = 4.0

// causeOf says in what way the root of a verdict is guilty, and why; it returns the signs of that.
func (e *Engine) causeOf(v *incident.Verdict, c *blame.Candidate, rows map[blame.Row]blame.Count, from, to int64) (s cause.Signs, why string) {
	switch {
	case c.Place.Host != "":
		v.Cause = cause.BadHost.String()
		return s, "replicas of several services on this host are hurt, and those elsewhere are not"
	case c.Place.Zone != "":
		v.Cause = cause.Zone.String()
		return s, "replicas of several services in this zone are hurt, and those elsewhere are not"
	case c.Place.Broker != "":
		v.Cause = cause.Broker.String()
		return s, "several of its topics are slow at once"
	}
	s = e.signs(c, rows, from, to)
	s.OneInstance, s.OneVersion, s.OneHost, s.OneZone = v.Instance != "", v.Version != "", v.Host != "", v.Zone != ""
	kind, why := cause.Of(s)
	v.Cause = kind.String()
	return s, why
}

// signs gathers what the codebook asks of a candidate of the window [from, to), whose hurt units of work are rows.
// What stands out is the verdict's to say.
func (e *Engine) signs(c *blame.Candidate, rows map[blame.Row]blame.Count, from, to int64) cause.Signs {
	s := cause.Signs{Node: e.graph.NodeAt(c.Node).Kind}
	e.symptoms(&s, c, rows)
	e.record(&s, c.Node, from, to)
	e.flows(&s, c.Node, rows, from, to)
	e.rhythm(&s, c.Node, from, to)
	e.queues(&s, c.Node, from, to)
	s.InFlight = e.inFlight(c.Node, from, to)
	s.NewVersion = e.newVersion(c.Node, from)
	return s
}

// symptoms fills in the shares of the hurt units of work.
func (e *Engine) symptoms(s *cause.Signs, c *blame.Candidate, rows map[blame.Row]blame.Count) {
	var reasons [blame.NumReasons]int64
	var units, topic int64
	for r, n := range rows {
		reason := r.Reason
		switch {
		case r.Waits == c.Node && c.Waiting > 0:
			reason = blame.Latency
		case r.Node != c.Node:
			continue
		case reason == blame.Saturation && e.graph.NodeAt(r.Waits).Kind != call.NodeDatabase:
			reason = blame.Latency // only of databases one has a pool
		}
		units += n.Units
		reasons[reason] += n.Units
		if o := e.graph.OpAt(r.Entry); o.Role == call.RoleConsumer && o.Node == c.Node {
			topic += n.Units
		}
	}
	share := func(r blame.Reason) float64 { return ratio(reasons[r], units) }
	s.Errors, s.Latency, s.Unavailable = share(blame.Errors), share(blame.Latency), share(blame.Unavailable)
	s.Throttled, s.Saturation = share(blame.Throttled), share(blame.Saturation)
	s.DNS, s.TLS, s.Auth = share(blame.DNS), share(blame.TLS), share(blame.Auth)
	s.Lag = share(blame.Lag)
	s.ClientRejected, s.Shed, s.FanOut = share(blame.ClientRejected), share(blame.Shed), share(blame.FanOut)
	s.FromTopic = ratio(topic, units)
}

// furthest keeps that of several series which strayed furthest.
type furthest struct {
	series *baseline.Series
	cell   baseline.Cell
	z      float64
	weight float64
	name   string
}

// look compares a series with normal; it returns whether it deviates, and whether there is enough to tell.
func (f *furthest) look(series *baseline.Series, name string, from, to int64) (off, seen bool) {
	c := series.Window(from, to)
	z, excess := series.Deviation(c)
	if c.N < 3 {
		return false, false
	}
	if excess < 1e6 {
		z = min(z, 3)
	}
	s := blame.Support{Calls: int64(c.N), Bad: int64(c.Bad), NormalBad: series.BadRatio(), Z: z}
	weight := s.Strength() * math.Sqrt(float64(c.Bad)+float64(c.N)*max(0, float64(excess))/1e6+1)
	if f.series == nil || weight > f.weight || weight == f.weight && name < f.name {
		*f = furthest{series, c, z, weight, name}
	}
	return z >= deviates, true
}

// record fills in own time, and the time of calls to and from the node beyond their answers.
func (e *Engine) record(s *cause.Signs, n graph.NodeID, from, to int64) {
	start, end := baseline.Whole(from, to, e.now)
	var own, gap furthest
	in, out := map[graph.NodeID]bool{}, map[graph.NodeID]bool{} // neighbours, and whether calls deviate
	for i := 1; i < len(e.ops); i++ {
		op := graph.OpID(i)
		o, st := e.graph.OpAt(op), &e.ops[op]
		var off, seen bool
		switch {
		case !o.Role.Outgoing():
			if o.Node != n {
				continue
			}
			off, seen = own.look(&st.own, e.OpName(op), start, end)
		case o.Node == n:
			if to := e.Callee(op); to != 0 {
				series := &st.own
				if e.graph.NodeAt(to).Kind != call.NodeService {
					series = &st.total
				}
				if off, seen = (&furthest{}).look(series, "", start, end); seen {
					out[to] = out[to] || off
				}
			}
			continue
		case e.Callee(op) != n:
			continue
		case s.Node == call.NodeService:
			if off, seen = gap.look(&st.own, e.OpName(op), start, end); seen {
				in[o.Node] = in[o.Node] || off
			}
			continue
		default:
			if off, seen = own.look(&st.total, e.OpName(op), start, end); seen {
				in[o.Node] = in[o.Node] || off
			}
		}
		if seen {
			s.Ops++
		}
		if off {
			s.OpsOff++
		}
	}
	s.EdgesIn, s.EdgesInOff = count(in)
	s.EdgesOut, s.EdgesOutOff = count(out)
	if f := own.series; f != nil {
		s.OwnNow, s.OwnNormal, s.OwnZ = own.cell.Typical(), normal(f), own.z
		s.OwnSlow, s.OwnSpread = f.Spread(start, end)
		s.Failing = max(0, ratio(int64(own.cell.Bad), int64(own.cell.N))-f.BadRatio())
		s.Drift = f.Drift(from, to)
		s.Recovered = e.recovered(f, from, to) && e.blamed(n, to-lately, to)
	}
	if f := gap.series; f != nil {
		s.GapNow, s.GapNormal, s.GapZ = gap.cell.Typical(), normal(f), gap.z
		s.GapSlow, s.GapSpread = f.Spread(start, end)
	}
}

func count(m map[graph.NodeID]bool) (all, off int) {
	for _, is := range m {
		if is {
			off++
		}
	}
	return len(m), off
}

// recovered says that a series deviated at the start of [from, to) and does not at its end.
func (e *Engine) recovered(s *baseline.Series, from, to int64) bool {
	first, _ := s.Deviation(s.Window(baseline.Whole(from, from+2*lately, e.now)))
	c := s.Window(baseline.Whole(to-lately, to, e.now))
	last, _ := s.Deviation(c)
	return to-from > 2*lately && first >= deviates && c.N >= 3 && last < 3
}

// blamed says whether a unit of work in [from, to) was hurt by a node.
func (e *Engine) blamed(n graph.NodeID, from, to int64) bool {
	for r := range e.ledger.Window(from, to) {
		if r.Node == n {
			return true
		}
	}
	return false
}

// flow is calls in the window, and how many there would be normally.
type flow struct {
	now    int64
	normal float64
}

func (f *flow) add(s *baseline.Series, from, to int64) {
	c := s.Window(from, to)
	f.now += int64(c.N)
	first := max(from/baseline.CellWidth, baseline.CellOf(to)-baseline.Recent+1) * baseline.CellWidth
	f.normal += s.Rate() * float64(to-first) / float64(second)
}

// enough: fewer calls than this say nothing about a rate.
const enough = 20

// over returns now/normal; 0 when too little is known.
func (f *flow) over() float64 {
	if f.normal < enough/2 || float64(f.now)+f.normal < enough {
		return 0
	}
	return float64(f.now) / f.normal
}

func quotient(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// flows fills in how much more is asked of the node, and by it, than normally.
func (e *Engine) flows(s *cause.Signs, n graph.NodeID, rows map[blame.Row]blame.Count, from, to int64) {
	start, end := baseline.Whole(from, to, e.now)
	end = min(e.now, (end+baseline.CellWidth-1)/baseline.CellWidth*baseline.CellWidth)
	entries, callers := map[graph.OpID]bool{}, map[graph.NodeID]bool{}
	for r := range rows {
		if r.Node == n || r.Waits == n {
			entries[r.Entry] = true
		}
	}
	var entry, runs, out, in, callerRuns, published flow
	for i := 1; i < len(e.ops); i++ {
		if o := e.graph.OpAt(graph.OpID(i)); o.Role.Outgoing() && e.Callee(graph.OpID(i)) == n {
			callers[o.Node] = true
		}
	}
	for i := 1; i < len(e.ops); i++ {
		op := graph.OpID(i)
		o, total := e.graph.OpAt(op), &e.ops[op].total
		if o.Role.Incoming() {
			if entries[op] && o.Role != call.RoleConsumer {
				entry.add(total, start, end)
			}
			if o.Node == n {
				runs.add(total, start, end)
			}
			if callers[o.Node] {
				callerRuns.add(total, start, end)
			}
		}
		if o.Role.Outgoing() {
			if o.Node == n {
				out.add(total, start, end)
				if o.Role == call.RoleProducer {
					published.add(total, start, end)
				}
			}
			if e.Callee(op) == n {
				in.add(total, start, end)
			}
		}
	}
	s.Entry, s.Publish = entry.over(), published.over()
	// Runs that have not ended yet are not there to be counted: calls are compared with the usual number at the least.
	s.Fan = quotient(out.over(), max(1, runs.over()))
	s.PerRun = quotient(in.over(), max(1, callerRuns.over()))
	if s.Rate = in.over(); s.Rate == 0 {
		s.Rate = runs.over()
	}
	s.Attempts = quotient(s.Rate, s.Entry)
}

// inFlight returns how many requests one replica of a node works on at a time, by Little's law: rate times duration.
func (e *Engine) inFlight(n graph.NodeID, from, to int64) float64 {
	start, end := baseline.Whole(from, to, e.now)
	var busy float64
	for i := 1; i < len(e.ops); i++ {
		if o := e.graph.OpAt(graph.OpID(i)); o.Node == n && o.Role.Incoming() {
			var f flow
			total := &e.ops[i].total
			f.add(total, start, end)
			c := total.Window(start, end)
			_, deviation := total.Spread(start, end)
			// Of a log-normal duration the mean is the median times e^(s^2/2); few vary by more than e.
			mean := float64(c.Typical()) * math.Exp(min(deviation, 1)*min(deviation, 1)/2)
			busy += float64(f.now) * mean
		}
	}
	replicas := len(e.replicas(n, start))
	if replicas == 0 {
		return 0
	}
	return busy / float64(max(second, end-start)) / float64(replicas)
}

// rhythm fills in how evenly the node's hurt calls lie in the last minute of the window.
func (e *Engine) rhythm(s *cause.Signs, n graph.NodeID, from, to int64) {
	if int(n) >= len(e.nodes) {
		return
	}
	var calls, hurt, seconds, calm int64
	each := func(yield func(m *moment)) {
		for k := max(from, to-64*second) / second; k < to/second; k++ {
			if m := &e.nodes[n].seconds[k%64]; m.second == k && m.calls > 0 {
				yield(m)
			}
		}
	}
	each(func(m *moment) {
		calls += int64(m.calls)
		hurt += int64(m.hurt)
		seconds++
		if m.hurt == 0 {
			calm++
		}
	})
	s.Calm = ratio(calm, seconds)
	p := ratio(hurt, calls)
	if seconds < 10 || p == 0 || p == 1 {
		return
	}
	var chi float64
	each(func(m *moment) {
		d := float64(m.hurt) - p*float64(m.calls)
		chi += d * d / (p * (1 - p) * float64(m.calls))
	})
	s.Burst = chi / float64(seconds-1)
}

const (
	// A version counts as new from so long before the onset to so long after it (design page, F8).
	versionBefore, versionAfter = 600 * second, 60 * second
	// settled: what was seen in the first minute was there before.
	settled = 60 * second
)

// newVersion says whether a version of the node first appeared around the onset, beside an older one.
func (e *Engine) newVersion(n graph.NodeID, onset int64) bool {
	first := map[string]int64{}
	for i := 1; i < e.graph.NumInstances(); i++ {
		if in := e.graph.InstanceAt(graph.InstanceID(i)); in.Node == n {
			if at, ok := first[in.Version]; !ok || in.FirstSeen < at {
				first[in.Version] = in.FirstSeen
			}
		}
	}
	oldest := int64(math.MaxInt64)
	for _, at := range first {
		oldest = min(oldest, at)
	}
	for _, at := range first {
		if at > oldest+settled && at >= onset-versionBefore && at <= onset+versionAfter {
			return true
		}
	}
	return false
}
