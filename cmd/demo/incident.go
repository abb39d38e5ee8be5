// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// finding is one event record of an incident.
type finding struct {
	event      string // opened, updated or resolved
	onset      time.Time
	detected   time.Time
	delay      time.Duration // from onset to detection
	sentence   string
	root, kind string
	reason     string
	instance   string // when one instance is to blame
	version    string // when one version is to blame
	score      float64
	path       string
	candidates []candidate // ranked, the root first
	impacted   []string
	evidence   []string
}

type candidate struct {
	node  string
	score float64
}

// incident is the events of one rca.incident.id, in the order in which they were written.
type incident struct {
	id       string
	findings []finding
}

// verdict is the last word on the cause: a later event without one leaves the earlier standing.
func (i *incident) verdict() (finding, bool) {
	for n := len(i.findings) - 1; n >= 0; n-- {
		if i.findings[n].root != "" {
			return i.findings[n], true
		}
	}
	return finding{}, false
}

// told is the event that told the verdict v last, with its sentence and its numbers: the event that resolves an
// incident says only that it is over.
func (i *incident) told(v finding) finding {
	for n := len(i.findings) - 1; n >= 0; n-- {
		if f := i.findings[n]; f.event != resolved && f.root == v.root {
			return f
		}
	}
	return v
}

func (i *incident) find(event string) (finding, bool) {
	for _, f := range i.findings {
		if f.event == event {
			return f, true
		}
	}
	return finding{}, false
}

func (o *output) addFinding(lr plog.LogRecord) {
	m := lr.Attributes()
	f := finding{
		event:    strings.TrimPrefix(lr.EventName(), incidentEvents),
		onset:    lr.Timestamp().AsTime(),
		delay:    time.Duration(number(m, "rca.detection.delay") * float64(time.Second)),
		sentence: lr.Body().AsString(),
		root:     str(m, "rca.root_cause.node"),
		kind:     str(m, "rca.root_cause.kind"),
		reason:   str(m, "rca.root_cause.reason"),
		instance: str(m, "rca.root_cause.instance"),
		version:  str(m, "rca.root_cause.version"),
		score:    number(m, "rca.root_cause.score"),
		path:     str(m, "rca.path"),
		impacted: texts(list(m, "rca.impacted.nodes")),
		evidence: texts(list(m, "rca.evidence")),
	}
	f.detected = lr.ObservedTimestamp().AsTime()
	scores := list(m, "rca.candidate.scores")
	for n, node := range texts(list(m, "rca.candidates")) {
		c := candidate{node: node}
		if n < len(scores) {
			c.score = scores[n].Double()
		}
		f.candidates = append(f.candidates, c)
	}
	id := str(m, "rca.incident.id")
	for _, inc := range o.incidents {
		if inc.id == id {
			inc.findings = append(inc.findings, f)
			return
		}
	}
	o.incidents = append(o.incidents, &incident{id: id, findings: []finding{f}})
}

func texts(values []pcommon.Value) []string {
	out := make([]string, len(values))
	for i, v := range values {
		out[i] = v.AsString()
	}
	return out
}
