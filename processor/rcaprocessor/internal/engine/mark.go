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

// publish makes an incident's nodes known to the marking of calls; nil for none.
func (e *Engine) publish(in *incident.Incident) {
	if in == nil {
		e.roles, e.published = nil, nil
		e.hurt.clear()
		return
	}
	snapshot := *in
	e.published = &snapshot
	e.roles = make(map[graph.NodeID]Role, len(in.Verdict.Impacted)+1)
	for _, name := range in.Verdict.Impacted {
		e.graph.Named(name, func(n graph.NodeID) { e.roles[n] = Symptom })
	}
	e.graph.Named(in.Verdict.Root, func(n graph.NodeID) { e.roles[n] = RootCause })
}

// mark appends a Mark when call c is hurt and its component is part of the incident, or when it is the root
// of a trace that is.
func (e *Engine) mark(c *call.Call, op graph.OpID, i int32, marks []Mark) []Mark {
	if c.Outcome.Bad() || c.Duration() > e.ops[op].total.SlowThreshold() {
		if r := e.role(op); r != 0 {
			e.hurt.add(trace.ID(c.TraceID))
			return append(marks, Mark{i, r, e.published})
		}
	}
	if !c.HasParent && e.hurt.has(trace.ID(c.TraceID)) {
		r := e.roles[e.graph.OpAt(op).Node]
		if r == 0 {
			r = Symptom
		}
		return append(marks, Mark{i, r, e.published})
	}
	return marks
}

// role returns what a hurt operation's component is. A node that emits no spans is seen in its callers' calls.
func (e *Engine) role(op graph.OpID) Role {
	if e.graph.OpAt(op).Role.Outgoing() {
		callee := e.Callee(op)
		if callee != 0 && e.graph.NodeAt(callee).Kind != call.NodeService && e.roles[callee] != 0 {
			return e.roles[callee]
		}
		if e.roles[e.graph.OpAt(op).Node] != 0 {
			return Symptom
		}
		return 0
	}
	return e.roles[e.graph.OpAt(op).Node]
}

// Published returns the open incident as it stood when it opened or changed last, nil when there is none; read only.
func (e *Engine) Published() *incident.Incident { return e.published }

// MarkLog says what a log record is in the open incident, 0 for nothing: a record of a hurt trace is what its
// node is, or a symptom; one without is it when it is grave and its node is part of the incident.
func (e *Engine) MarkLog(r *call.Resource, id trace.ID, grave bool) Role {
	if e.roles == nil {
		return 0
	}
	role := Role(0)
	if n := e.graph.Lookup(r.Key()); n != 0 {
		role = e.roles[n]
	}
	switch {
	case id != (trace.ID{}) && e.hurt.has(id):
		if role == 0 {
			role = Symptom
		}
		return role
	case grave:
		return role
	}
	return 0
}
