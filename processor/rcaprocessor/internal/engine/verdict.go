// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"math"
	"slices"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/baseline"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/blame"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// beforeSeconds is how much of the time before an incident says which hurt requests are usual.
const beforeSeconds = 45

// maxRanked is the most candidates that a verdict names.
const maxRanked = 5

// verdict ranks the candidates of the window [from, to).
func (e *Engine) verdict(from, to int64) incident.Verdict {
	rows := e.attributeLag(e.ledger.Window(from, to), from, to)
	start := max(from-beforeSeconds*second, e.began)
	before := blame.Window{Rows: e.ledger.Window(start, from), Seconds: (from - start) / second}
	ranked := blame.Rank(blame.Window{Rows: rows, Seconds: (to - from) / second}, before, func(n graph.NodeID) blame.Support { return e.support(n, from, to) }, e)
	if len(ranked) == 0 {
		return incident.Verdict{Root: incident.Unknown, Kind: incident.Unknown}
	}
	top := &ranked[0]
	v := incident.Verdict{
		Root:    e.NodeName(top.Node),
		Kind:    kindName(e.graph.NodeAt(top.Node).Kind),
		Reason:  top.Reason.String(),
		Score:   round(top.Score),
		Onset:   top.First,
		TraceID: top.Exemplar,
		SpanID:  top.Span,
	}
	for _, n := range top.Path {
		if n != 0 {
			v.Path = append(v.Path, e.NodeName(n))
		}
	}
	for i := range ranked[:min(len(ranked), maxRanked)] {
		v.Ranked = append(v.Ranked, incident.Ranked{Node: e.NodeName(ranked[i].Node), Score: round(ranked[i].Score)})
	}
	v.Impacted = e.impacted(rows, top.Node)
	v.Instance, v.Version = e.contrast(top, from, to)
	if in := e.keeper.Open(); in != nil && in.Verdict.Root == v.Root && v.Instance == "" {
		// What stood out at first stays named when it has come back, and its past is beyond the window.
		v.Instance, v.Version = in.Verdict.Instance, in.Verdict.Version
	}
	v.Summary, v.Evidence = e.explain(&v, ranked, from, to)
	return v
}

// impacted returns the names of the nodes on the ways to the root, in order of name.
func (e *Engine) impacted(rows map[blame.Row]blame.Count, root graph.NodeID) []string {
	var names []string
	for r := range rows {
		if r.Node != root && r.Waits != root {
			continue
		}
		for _, n := range r.Path {
			if n != 0 && n != root {
				names = append(names, e.NodeName(n))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// support returns a node's own record: of its operations, or of the calls to it where it emits no spans,
// the one that strayed furthest.
func (e *Engine) support(n graph.NodeID, from, to int64) blame.Support {
	var best blame.Support
	most := -1.0
	for i := 1; i < len(e.ops); i++ {
		op := graph.OpID(i)
		o := e.graph.OpAt(op)
		st := &e.ops[op]
		series := &st.own
		if o.Role.Outgoing() {
			if o.Peer == 0 || e.graph.Resolve(o.Peer) != n {
				continue
			}
			if e.graph.NodeAt(n).Kind != call.NodeService {
				series = &st.total
			}
		} else if o.Node != n {
			continue
		}
		c := series.Window(from, to)
		if c.N == 0 {
			continue
		}
		z, excess := series.Deviation(c)
		if excess < 1e6 {
			z = min(z, 3)
		}
		s := blame.Support{
			Op: op, Calls: int64(c.N), Bad: int64(c.Bad), NormalBad: series.BadRatio(),
			Z: z, Typical: c.Typical(), Normal: normal(series),
		}
		// What strays far matters by the time and the calls that it cost.
		weight := s.Strength() * math.Sqrt(float64(s.Bad)+float64(c.N)*max(0, float64(excess))/1e6+1)
		if weight > most || weight == most && e.OpName(op) < e.OpName(best.Op) {
			best, most = s, weight
		}
	}
	return best
}

func normal(s *baseline.Series) int64 {
	c := s.Normal()
	return c.Typical()
}

// standsOut is the share of a service's hurt units of work that makes one replica, or one version, the culprit.
const standsOut = 0.9

// contrast says whether one instance, or one version, of a guilty service stands out from the others.
func (e *Engine) contrast(c *blame.Candidate, from, to int64) (instance, version string) {
	if e.graph.NodeAt(c.Node).Kind != call.NodeService {
		return "", ""
	}
	replicas := e.replicas(c.Node, from-recentSpan)
	units := c.Replicas
	if i := e.silent(replicas, from, to); i != 0 && units[0] > 0 {
		units = map[graph.InstanceID]int64{i: c.Units} // calls that were not answered do not say by whom
	}
	byVersion := map[string]int64{}
	versions, peers := map[string]bool{}, 0
	for _, i := range replicas {
		in := e.graph.InstanceAt(i)
		versions[in.Version] = true
		byVersion[in.Version] += units[i]
	}
	for v, n := range byVersion {
		if len(versions) > 1 && float64(n) >= standsOut*float64(c.Units) {
			version = v
		}
	}
	for _, i := range replicas {
		in := e.graph.InstanceAt(i)
		if len(versions) > 1 && version != "" && in.Version != version || e.instances[i].last < from && units[i] == 0 {
			continue
		}
		peers++
		if float64(units[i]) >= standsOut*float64(c.Units) {
			instance = in.Name
		}
	}
	if peers < 2 {
		return "", version
	}
	if instance != "" { // others of its version are well
		version = ""
	}
	return instance, version
}

// replicas returns the replicas of a node that took calls since.
func (e *Engine) replicas(n graph.NodeID, since int64) []graph.InstanceID {
	var out []graph.InstanceID
	for i := 1; i < len(e.instances); i++ {
		if e.graph.InstanceAt(graph.InstanceID(i)).Node == n && e.instances[i].last >= since {
			out = append(out, graph.InstanceID(i))
		}
	}
	return out
}

const recentSpan = (baseline.Recent - 2) * baseline.CellWidth

// silent returns the one instance that had its share of calls before from and fell to a tenth of it since,
// while the others went on; 0 when there is none, or several, or it is too early to tell.
func (e *Engine) silent(replicas []graph.InstanceID, from, to int64) graph.InstanceID {
	const w = baseline.CellWidth
	start := (from + w - 1) / w * w // whole cells only
	past := start - 3*w
	var found graph.InstanceID
	alive := false
	for _, i := range replicas {
		e.instances[i].advance(to)
		before, _ := e.instances[i].window(past, start-w)
		after, _ := e.instances[i].window(start, to+w)
		expected := float64(before) / float64(2*w) * float64(to-start)
		switch {
		case expected < 5: // new, or little used
		case float64(after) < expected/10:
			if found != 0 {
				return 0
			}
			found = i
		case float64(after) < expected/3:
			return 0
		}
		alive = alive || after > 0 && float64(after) >= expected/3
	}
	if !alive {
		return 0
	}
	return found
}

func kindName(k call.NodeKind) string {
	switch k {
	case call.NodeService:
		return "service"
	case call.NodeDatabase:
		return "database"
	case call.NodeMessaging:
		return "messaging"
	case call.NodeExternal:
		return "external"
	case call.NodeUnknown:
	}
	return incident.Unknown
}

// NodeName and OpName make the engine blame.Names.

// NodeName returns a node's name.
func (e *Engine) NodeName(n graph.NodeID) string { return e.graph.NodeAt(n).Name }

// OpName returns an operation's name.
func (e *Engine) OpName(op graph.OpID) string {
	o := e.graph.OpAt(op)
	return e.NodeName(o.Node) + " " + o.Name
}

func round(x float64) float64 { return math.Round(x*1000) / 1000 }
