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
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// explain puts a verdict into words: one sentence, and the evidence for it with numbers against normal.
func (e *Engine) explain(v *incident.Verdict, ranked []blame.Candidate, w *world) (string, []string) {
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
	if top.Waiting > 0 {
		evidence = append(evidence, fmt.Sprintf("%d of these requests stood in line for %s and never got to it.", top.Waiting, v.Root))
	}
	if moved := e.moves(top, v.Impacted, w.from, w.to); moved != "" {
		evidence = append(evidence, moved)
	}
	for i := range ranked[1:min(len(ranked), 3)] {
		evidence = append(evidence, e.ruledOut(&ranked[i+1]))
	}
	return summary, evidence
}

// moves tells who was hurt first.
func (e *Engine) moves(root *blame.Candidate, impacted []string, from, to int64) string {
	type move struct {
		name string
		at   int64
	}
	var moves []move
	add := func(n graph.NodeID) {
		if at := e.firstMoved(n, from, to); at != 0 {
			moves = append(moves, move{e.NodeName(n), at})
		}
	}
	if root.Node != 0 {
		add(root.Node)
	}
	for _, n := range root.Nodes {
		add(n)
	}
	for _, name := range impacted {
		e.graph.Named(name, add)
	}
	if len(moves) == 0 {
		return ""
	}
	slices.SortStableFunc(moves, func(a, b move) int { return cmp.Compare(a.at, b.at) })
	var b strings.Builder
	fmt.Fprintf(&b, "First hurt: %s at %s", moves[0].name, clockTime(moves[0].at))
	for _, m := range moves[1:] {
		fmt.Fprintf(&b, ", %s +%d s", m.name, (m.at-moves[0].at)/second)
	}
	return b.String() + "."
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
