// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor // import "github.com/firebreak-otel/firebreak/processor/rcaprocessor"

import (
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/engine"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// Attributes of spans and log records in an incident, and of event records.
const (
	keyIncidentID = "rca.incident.id"
	keyRole       = "rca.role"
	keyNode       = "rca.root_cause.node"
	keyKind       = "rca.root_cause.kind"
	keyReason     = "rca.root_cause.reason"
	keyScore      = "rca.root_cause.score"
	keyPath       = "rca.path"
)

// Attributes of event records only.
const (
	keyCause           = "rca.root_cause.cause"
	keyInstance        = "rca.root_cause.instance"
	keyVersion         = "rca.root_cause.version"
	keyHost            = "rca.root_cause.host"
	keyZone            = "rca.root_cause.zone"
	keyEntries         = "rca.entry.operations"
	keyTrigger         = "rca.trigger"
	keyPropagation     = "rca.propagation.nodes"
	keyAmplifiers      = "rca.amplifiers"
	keyHurt            = "rca.hurt.requests"
	keyCandidates      = "rca.candidates"
	keyCandidateScores = "rca.candidate.scores"
	keyImpacted        = "rca.impacted.nodes"
	keyEvidence        = "rca.evidence"
	keyDetectionDelay  = "rca.detection.delay"
	keyDuration        = "rca.incident.duration"
)

// Names of event records.
const (
	eventOpened   = "rca.incident.opened"
	eventUpdated  = "rca.incident.updated"
	eventResolved = "rca.incident.resolved"
)

const pathSeparator = " > "

// annotation is what an open incident writes on spans and log records.
type annotation struct {
	id, node, kind, reason, path string
	score                        float64
}

func annotationOf(in *incident.Incident) *annotation {
	v := &in.Verdict
	return &annotation{
		id: in.ID, node: v.Root, kind: v.Kind, reason: v.Reason, score: v.Score,
		path: strings.Join(v.Path, pathSeparator),
	}
}

// write puts the annotation on an item. What the user has set stays.
func (a *annotation) write(m pcommon.Map, role engine.Role) {
	m.EnsureCapacity(m.Len() + 7)
	put(m, keyIncidentID, a.id)
	put(m, keyRole, role.String())
	put(m, keyNode, a.node)
	put(m, keyKind, a.kind)
	put(m, keyReason, a.reason)
	if _, ok := m.Get(keyScore); !ok {
		m.PutDouble(keyScore, a.score)
	}
	put(m, keyPath, a.path)
}

func put(m pcommon.Map, key, value string) {
	if _, ok := m.Get(key); !ok && value != "" {
		m.PutStr(key, value)
	}
}
