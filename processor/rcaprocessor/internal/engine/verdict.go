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

// verdicts ranks the candidates of the time from until end: a verdict for each cause that stands for itself, the
// likeliest first. What follows from the roots that open incidents have is none.
func (e *Engine) verdicts(from, end int64, open []string) []incident.Verdict {
	from, to := e.window(from, end)
	w := e.world(from, to)
	rows := e.attributeLag(e.ledger.Window(from, to), w)
	healthy := from // what an open incident brought is not usual
	for _, in := range e.keeper.Open() {
		healthy = min(healthy, in.Onset)
	}
	start := max(healthy-beforeSeconds*second, e.began)
	before := blame.Window{Rows: e.ledger.Window(start, healthy), Seconds: (healthy - start) / second}
	ranking := blame.Rank(blame.Window{Rows: rows, Seconds: (to - from) / second}, before, e.known(open), w)
	if len(ranking.Candidates) == 0 && len(open) == 0 {
		return []incident.Verdict{{Root: incident.Unknown, Kind: incident.Unknown, Cause: incident.Unknown}}
	}
	var out []incident.Verdict
	for i := range ranking.Roots {
		out = append(out, e.verdict(i, &ranking, rows, w))
	}
	return out
}

// window returns the time that a verdict looks at: from an onset to the last second that was bad, as far as hurt
// units of work are remembered.
func (e *Engine) window(from, end int64) (int64, int64) {
	if e.lastBad > from && end-e.lastBad > 2*second {
		end = e.lastBad
	}
	return max(from, end-ledgerSeconds*second), end
}

// known returns what the open incidents with these roots stand for.
func (e *Engine) known(roots []string) (out []blame.Cause) {
	for _, in := range e.keeper.Open() {
		v := &in.Verdict
		if !slices.Contains(roots, v.Root) {
			continue
		}
		c := blame.Cause{Place: blame.Place{Host: v.Host, Zone: v.Zone}}
		names := v.Members
		if len(names) == 0 {
			names = []string{v.Root}
			c.Place = blame.Place{}
		} else if v.Host == "" && v.Zone == "" {
			c.Place.Broker = v.Root
		}
		for _, name := range names {
			e.graph.Named(name, func(n graph.NodeID) { c.Nodes = append(c.Nodes, n) })
		}
		out = append(out, c)
	}
	return out
}

// verdict puts the ranking's i-th root into names. Other roots are no rivals of it.
func (e *Engine) verdict(i int, ranking *blame.Ranking, rows map[blame.Row]blame.Count, w *world) incident.Verdict {
	top := &ranking.Roots[i]
	v := incident.Verdict{
		Root: e.candidateName(top), Kind: e.candidateKind(top), Reason: top.Reason.String(), Score: round(top.Score),
		Host: top.Place.Host, Zone: top.Place.Zone, Onset: top.First, TraceID: top.Exemplar, SpanID: top.Span,
	}
	for _, n := range top.Path {
		if n != 0 {
			v.Path = append(v.Path, e.NodeName(n))
		}
	}
	for _, n := range top.Nodes {
		v.Members = append(v.Members, e.NodeName(n))
	}
	ranked := []blame.Candidate{*top}
	for k := range ranking.Candidates {
		c := &ranking.Candidates[k]
		if !slices.ContainsFunc(ranking.Roots, func(r blame.Candidate) bool { return r.Node == c.Node && r.Place == c.Place }) {
			ranked = append(ranked, *c)
		}
	}
	for k := range ranked[:min(len(ranked), maxRanked)] {
		v.Ranked = append(v.Ranked, incident.Ranked{Node: e.candidateName(&ranked[k]), Score: round(ranked[k].Score)})
	}
	v.Impacted = e.impacted(top, rows)
	v.Entries = e.entries(i, ranking, w.from)
	e.drillDown(&v, top, w)
	signs, why := e.causeOf(&v, top, rows, w.from, w.to)
	told := e.tell(&v, top, &signs, w)
	v.Moves = e.moves(&v, top, w.from, w.to)
	v.Summary, v.Evidence = e.explain(&v, ranked, why, told, w)
	return v
}

// drillDown says which instance, or version, or zone, stands out.
func (e *Engine) drillDown(v *incident.Verdict, c *blame.Candidate, w *world) {
	v.Instance, v.Version = e.contrast(c, w.from, w.to)
	if v.Instance != "" {
		return
	}
	if v.Version == "" && v.Zone == "" && c.Node != 0 && !c.ByItself() { // code fails where it runs
		v.Zone = w.zone(c)
	}
	for _, in := range e.keeper.Open() {
		if in.Verdict.Root == v.Root {
			// What stood out at first stays named when it has come back, and its past is beyond the window.
			v.Instance, v.Version = in.Verdict.Instance, in.Verdict.Version
		}
	}
}

func (e *Engine) candidateName(c *blame.Candidate) string {
	if c.Node == 0 {
		return c.Place.Name()
	}
	return e.NodeName(c.Node)
}

func (e *Engine) candidateKind(c *blame.Candidate) string {
	switch {
	case c.Place.Host != "":
		return "host"
	case c.Place.Zone != "":
		return "zone"
	case c.Place.Broker != "":
		return kindName(call.NodeMessaging)
	}
	return kindName(e.graph.NodeAt(c.Node).Kind)
}

// impacted returns the names of the nodes on the ways to the root, in order of name.
func (e *Engine) impacted(root *blame.Candidate, rows map[blame.Row]blame.Count) []string {
	var names []string
	for r := range rows {
		if root.Node != 0 && r.Node != root.Node && r.Waits != root.Node || root.Node == 0 && !slices.Contains(root.Nodes, r.Node) {
			continue
		}
		for _, n := range r.Path {
			if n != 0 && n != root.Node && !slices.Contains(root.Nodes, n) {
				names = append(names, e.NodeName(n))
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// entries returns the names of the operations at which the i-th root is felt, in order of name: all where hurt
// units of work come in but those most of which another root explains.
func (e *Engine) entries(i int, ranking *blame.Ranking, from int64) []string {
	of := map[graph.OpID]int64{}
	for k := range ranking.Candidates {
		for op, n := range ranking.Candidates[k].Entries {
			of[op] += n
		}
	}
	var names []string
	root := &ranking.Roots[i]
	for op, n := range of {
		en := &e.ops[op].entry
		if 20*root.Entries[op] < root.Units && max(en.errors.LastBad(), en.slowness.LastBad()) < from {
			continue // some requests are slow all the time
		}
		others := false
		for k := range ranking.Roots {
			others = others || k != i && 2*ranking.Roots[k].Entries[op] > n
		}
		if !others {
			names = append(names, e.OpName(op))
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
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
	if i := e.silent(replicas, from, to); i != 0 && e.unanswered(c) {
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

// unanswered says that calls are among a node's trouble that no replica answered.
func (e *Engine) unanswered(c *blame.Candidate) bool {
	for i, n := range c.Replicas {
		if n > 0 && e.graph.InstanceAt(i).Node != c.Node {
			return true
		}
	}
	return false
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
