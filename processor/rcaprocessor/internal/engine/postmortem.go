// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/blame"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/cause"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

const (
	// amplifies: attempts a call, and times the usual number, from which retries feed the trouble. Design 2.8 has 1.5
	// for those that keep it up alone.
	amplifies, amplifiesMore = 1.3, 1.2
	// surges: units of work come so many times as often as usual.
	surges = 1.4
	// lateBy: records lie so much longer than usual before that is worth a word.
	lateBy = second / 5
	// maxAmplifiers is the most that a verdict lists.
	maxAmplifiers = 4
)

// tell fills in what a postmortem says beside the cause: what set it off, which way it went, what made it worse, and
// how far it reached. It returns the sentences about these.
func (e *Engine) tell(v *incident.Verdict, c *blame.Candidate, s *cause.Signs, w *world) (words []string) {
	v.Hurt = c.Units
	if v.Trigger = e.trigger(v, c, s, w); v.Trigger != "" {
		words = append(words, "Set off by "+v.Trigger+".")
	}
	late := e.lateTopics(c, w)
	for _, l := range late {
		if l.name == v.Root {
			continue
		}
		v.Impacted = append(v.Impacted, l.name)
		words = append(words, fmt.Sprintf("Records lie in %s for %s (%s normally): it passes the trouble on.", l.name, duration(l.now), duration(l.normal)))
	}
	slices.Sort(v.Impacted)
	v.Impacted = slices.Compact(v.Impacted)
	v.Propagation = propagation(v, late)
	for _, a := range e.amplifiers(v, w) {
		v.Amplifiers = append(v.Amplifiers, a.name)
		words = append(words, fmt.Sprintf("Made worse by retries: %s makes %.1f attempts a call (%.1f normally).", a.name, a.now, a.normal))
	}
	return words
}

// trigger returns what set the trouble off, as far as it is known.
func (e *Engine) trigger(v *incident.Verdict, c *blame.Candidate, s *cause.Signs, w *world) string {
	switch {
	case v.Cause == cause.Metastable.String():
		return "what is over by now: retries keep it up"
	case s.NewVersion:
		version, at := e.latestVersion(c.Node, w.from)
		return fmt.Sprintf("the deployment of %s version %s, first seen at %s", v.Root, version, clockTime(at))
	case s.Entry >= surges:
		return fmt.Sprintf("traffic: requests come %.1f times as often as usual", s.Entry)
	}
	return ""
}

// latestVersion returns the version of a node that was seen first of all but those after onset, the latest.
func (e *Engine) latestVersion(n graph.NodeID, onset int64) (version string, at int64) {
	first := map[string]int64{}
	for i := 1; i < e.graph.NumInstances(); i++ {
		if in := e.graph.InstanceAt(graph.InstanceID(i)); in.Node == n {
			if old, ok := first[in.Version]; !ok || in.FirstSeen < old {
				first[in.Version] = in.FirstSeen
			}
		}
	}
	for name, seen := range first {
		if seen <= onset+versionAfter && (seen > at || seen == at && name < version) {
			version, at = name, seen
		}
	}
	return version, at
}

// lateTopic is a topic in which records lie for longer than usual.
type lateTopic struct {
	name        string
	now, normal int64 // typical, nanoseconds
}

// lateTopics returns the topics that feel a candidate.
func (e *Engine) lateTopics(c *blame.Candidate, w *world) (out []lateTopic) {
	for i := 1; i < len(e.ops); i++ {
		r, o := e.ops[i].reader, e.graph.OpAt(graph.OpID(i))
		if r == nil || o.Peer == 0 {
			continue
		}
		now := r.lag.Window(w.from, w.to)
		if z, excess := r.lag.Deviation(now); z < deviates || excess < lateBy || !w.feels(o.Peer, c) {
			continue
		}
		t := lateTopic{e.NodeName(o.Peer), now.Typical(), normal(&r.lag)}
		if i := slices.IndexFunc(out, func(l lateTopic) bool { return l.name == t.name }); i < 0 {
			out = append(out, t)
		} else if out[i].now < t.now || out[i].now == t.now && out[i].normal < t.normal {
			out[i] = t
		}
	}
	slices.SortFunc(out, func(a, b lateTopic) int { return cmp.Compare(a.name, b.name) })
	return out
}

// feels says that a node feels what a candidate suffers.
func (w *world) feels(n graph.NodeID, c *blame.Candidate) bool {
	if c.Node != 0 {
		return n == c.Node || w.Reaches(n, c.Node)
	}
	return slices.ContainsFunc(c.Nodes, func(m graph.NodeID) bool { return n == m || w.Reaches(n, m) })
}

// propagation returns the nodes that passed the trouble on, from the root outwards: those on the most trodden way,
// then the topics, then the others that are hurt.
func propagation(v *incident.Verdict, late []lateTopic) (out []string) {
	add := func(name string) {
		if name != v.Root && !slices.Contains(v.Members, name) && !slices.Contains(out, name) {
			out = append(out, name)
		}
	}
	for _, name := range slices.Backward(v.Path) {
		add(name)
	}
	for i := range late {
		add(late[i].name)
	}
	for _, name := range v.Impacted {
		add(name)
	}
	return out
}

// amplifier is an edge whose callers try again and again.
type amplifier struct {
	name        string
	now, normal float64
}

// amplifiers returns the edges between the nodes of an incident that retries make worse, the worst first.
func (e *Engine) amplifiers(v *incident.Verdict, w *world) (out []amplifier) {
	part := map[graph.NodeID]bool{}
	for _, name := range slices.Concat([]string{v.Root}, v.Members, v.Impacted) {
		e.graph.Named(name, func(n graph.NodeID) { part[n] = true })
	}
	seen := map[string]bool{}
	e.graph.Edges(func(edge graph.Edge) {
		edge.To = e.graph.Resolve(edge.To)
		name := e.NodeName(edge.From) + " -> " + e.NodeName(edge.To)
		if !part[edge.From] || !part[edge.To] || seen[name] {
			return
		}
		seen[name] = true
		if now, normal := e.amplification(edge, w.from, w.to); now >= amplifies && now >= amplifiesMore*normal {
			out = append(out, amplifier{name, now, normal})
		}
	})
	slices.SortFunc(out, func(a, b amplifier) int { return cmp.Or(cmp.Compare(b.now, a.now), strings.Compare(a.name, b.name)) })
	return out[:min(len(out), maxAmplifiers)]
}
