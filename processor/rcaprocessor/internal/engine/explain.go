// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/blame"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/contrast"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// explain puts a verdict into words: one sentence, and the evidence for it with numbers against normal.
func (e *Engine) explain(v *incident.Verdict, ranked []blame.Candidate, why string, told []string, w *world) (string, []string) {
	top := &ranked[0]
	share := percent(float64(top.Units) / float64(top.Of))
	who := v.Root
	switch {
	case v.Version != "":
		who += " version " + v.Version
	case v.Instance != "":
		who += " instance " + v.Instance
	}
	summary := fmt.Sprintf("%s is the root cause (%s): the trouble of %s of %d hurt requests since %s began there, most of them %s.",
		who, v.Reason, share, top.Of, clockTime(w.from), e.OpName(top.Entry(w)))

	evidence := []string{fmt.Sprintf("%d of %d hurt requests lead to %s, most on the way %s.",
		top.Units, top.Of, v.Root, strings.Join(v.Path, " > "))}
	if s := top.Support; s.Calls > 0 {
		evidence = append(evidence, fmt.Sprintf("%s: typically %s -> %s (z %.1f), failures %s -> %s of %d.",
			e.subject(s.Op), duration(s.Normal), duration(s.Typical), s.Z, percent(s.NormalBad), percent(ratio(s.Bad, s.Calls)), s.Calls))
	}
	if v.Cause != incident.Unknown {
		evidence = append(evidence, fmt.Sprintf("In what way: %s; %s.", v.Cause, why))
	}
	if top.Waiting > 0 {
		evidence = append(evidence, fmt.Sprintf("%d of these requests stood in line for %s and never got to it.", top.Waiting, v.Root))
	}
	if len(v.Moves) > 0 {
		evidence = append(evidence, moved(v.Moves))
	}
	evidence = append(evidence, told...)
	evidence = append(evidence, e.besides(top, w)...)
	for i := range ranked[1:min(len(ranked), 3)] {
		evidence = append(evidence, e.ruledOut(&ranked[i+1]))
	}
	return summary, evidence
}

// moves returns when the nodes of a verdict were hurt first, the earliest first. What an open incident knows of that
// stands: seconds are remembered for a minute.
func (e *Engine) moves(v *incident.Verdict, root *blame.Candidate, from, to int64) (moves []incident.Move) {
	for _, in := range e.keeper.Open() {
		if in.Verdict.Root == v.Root {
			moves = slices.Clone(in.Verdict.Moves)
		}
	}
	add := func(n graph.NodeID) {
		name := e.NodeName(n)
		at := e.firstMoved(n, from, to)
		if at != 0 && !slices.ContainsFunc(moves, func(m incident.Move) bool { return m.Node == name }) {
			moves = append(moves, incident.Move{Node: name, At: at})
		}
	}
	if root.Node != 0 {
		add(root.Node)
	}
	for _, n := range root.Nodes {
		add(n)
	}
	for _, name := range v.Impacted {
		e.graph.Named(name, add)
	}
	slices.SortStableFunc(moves, func(a, b incident.Move) int { return cmp.Compare(a.At, b.At) })
	return moves
}

func moved(moves []incident.Move) string {
	var b strings.Builder
	fmt.Fprintf(&b, "First hurt: %s at %s", moves[0].Node, clockTime(moves[0].At))
	for _, m := range moves[1:] {
		fmt.Fprintf(&b, ", %s +%d s", m.Node, (m.At-moves[0].At)/second)
	}
	return b.String() + "."
}

// besides returns what the evidence windows say against a candidate in other ways than by time and failures: what
// its operations no longer do, or never did, and what its logs say.
func (e *Engine) besides(c *blame.Candidate, w *world) []string {
	for _, s := range w.suspects {
		if graph.NodeID(s.Node) != c.Node || c.Node == 0 {
			continue
		}
		s.Evidence = slices.DeleteFunc(slices.Clone(s.Evidence), func(ev contrast.Evidence) bool {
			return ev.Family != contrast.Structure && ev.Family != contrast.Logs
		})
		words := e.Words(&Suspect{Name: e.NodeName(c.Node), Candidate: s})
		for i := range words {
			words[i] = "Beside that, " + words[i] + "."
		}
		return words[:min(len(words), 2)]
	}
	return nil
}

func (e *Engine) ruledOut(c *blame.Candidate) string {
	s := c.Support
	why := fmt.Sprintf("only %d of %d hurt requests lead to it", c.Units, c.Of)
	switch {
	case s.Calls == 0:
	case s.Strength() < 0.1:
		why += ", and its own record is normal"
	default:
		why += fmt.Sprintf("; %s: typically %s -> %s, failures %s -> %s", e.subject(s.Op),
			duration(s.Normal), duration(s.Typical), percent(s.NormalBad), percent(ratio(s.Bad, s.Calls)))
	}
	return fmt.Sprintf("Less likely: %s (score %.2f): %s.", e.candidateName(c), c.Score, why)
}

// subject says what an operation's record is a record of.
func (e *Engine) subject(op graph.OpID) string {
	o := e.graph.OpAt(op)
	if !o.Role.Outgoing() {
		return "own time of " + e.OpName(op)
	}
	callee := e.Callee(op)
	if e.graph.NodeAt(callee).Kind == call.NodeService {
		return fmt.Sprintf("time that calls from %s to %s took beyond its answers", e.NodeName(o.Node), e.NodeName(callee))
	}
	return fmt.Sprintf("calls from %s to %s (%s)", e.NodeName(o.Node), e.NodeName(callee), o.Name)
}

func percent(x float64) string {
	switch p := 100 * x; {
	case p == 0, p >= 10:
		return fmt.Sprintf("%.0f %%", p)
	default:
		return fmt.Sprintf("%.1f %%", p)
	}
}

func duration(ns int64) string {
	d := time.Duration(ns)
	switch {
	case d >= time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d >= 10*time.Millisecond:
		return d.Round(time.Millisecond).String()
	}
	if d >= 100*time.Microsecond {
		return d.Round(10 * time.Microsecond).String()
	}
	return d.Round(time.Microsecond).String()
}

func clockTime(ns int64) string { return time.Unix(0, ns).UTC().Format("15:04:05") }
