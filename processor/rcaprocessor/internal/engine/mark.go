// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// Role is what a node is in an incident.
type Role uint8

const (
	// RootCause is the guilty node.
	RootCause Role = iota + 1
	// Symptom is hurt by it.
	Symptom
)

func (r Role) String() string { return [...]string{"", "root_cause", "symptom"}[r] }

// Mark says that a call of a batch is hurt in the incident that was open when the call passed by.
type Mark struct {
	Call     int32 // index into Batch.Calls
	Role     Role
	Incident *incident.Incident // as it stood; read only
}

// part is what a node is in an open incident.
type part struct {
	role     Role
	incident *incident.Incident
}

// publish makes the nodes of the open incidents known to the marking of calls. A node that is part of several is
// part of the one that it is the root of, else of the one that opened first.
func (e *Engine) publish(open []*incident.Incident) {
	if e.published = nil; len(open) == 0 {
		e.parts = nil
		e.hurt.clear()
		return
	}
	e.parts = make(map[graph.NodeID]part)
	for _, in := range open {
		snapshot := *in
		e.published = append(e.published, &snapshot)
	}
	add := func(names []string, p part) {
		for _, name := range names {
			e.graph.Named(name, func(n graph.NodeID) {
				if old := e.parts[n]; old.role == 0 || p.role == RootCause && old.role != RootCause {
					e.parts[n] = p
				}
			})
		}
	}
	for _, in := range e.published {
		add(append([]string{in.Verdict.Root}, in.Verdict.Members...), part{RootCause, in})
		add(in.Verdict.Impacted, part{Symptom, in})
	}
}

// mark appends a Mark when call c is hurt and its component is part of an incident, or when it is the root of a
// trace that is.
func (e *Engine) mark(c *call.Call, op graph.OpID, i int32, marks []Mark) []Mark {
	if c.Outcome.Bad() || c.Duration() > e.ops[op].total.SlowThreshold() {
		if p := e.part(op); p.role != 0 {
			e.hurt.add(trace.ID(c.TraceID))
			return append(marks, Mark{i, p.role, p.incident})
		}
	}
	if !c.HasParent && e.hurt.has(trace.ID(c.TraceID)) {
		p := e.parts[e.graph.OpAt(op).Node]
		if p.role == 0 {
			p = part{Symptom, e.published[0]}
		}
		return append(marks, Mark{i, p.role, p.incident})
	}
	return marks
}

// part returns what a hurt operation's component is. A node that emits no spans is seen in its callers' calls.
func (e *Engine) part(op graph.OpID) part {
	own := e.parts[e.graph.OpAt(op).Node]
	if !e.graph.OpAt(op).Role.Outgoing() {
		return own
	}
	callee := e.Callee(op)
	if p := e.parts[callee]; callee != 0 && e.graph.NodeAt(callee).Kind != call.NodeService && p.role != 0 {
		return p
	}
	if own.role != 0 {
		own.role = Symptom
	}
	return own
}

// Published returns the open incidents as they stood when they opened or changed last; read only.
func (e *Engine) Published() []*incident.Incident { return e.published }

// MarkLog says what a log record is in which open incident, role 0 for nothing: a record of a hurt trace is what its
// node is, or a symptom; one without is it when it is grave and its node is part of an incident.
func (e *Engine) MarkLog(r *call.Resource, id trace.ID, grave bool) (Role, *incident.Incident) {
	if len(e.published) == 0 {
		return 0, nil
	}
	var p part
	if n := e.graph.Lookup(r.Key()); n != 0 {
		p = e.parts[n]
	}
	switch {
	case id != (trace.ID{}) && e.hurt.has(id):
		if p.role == 0 {
			p = part{Symptom, e.published[0]}
		}
	case !grave:
		return 0, nil
	}
	return p.role, p.incident
}
