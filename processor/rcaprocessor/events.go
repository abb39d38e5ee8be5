// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor // import "github.com/firebreak-otel/firebreak/processor/rcaprocessor"

import (
	"fmt"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/firebreak-otel/firebreak/internal/emit"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// eventOf makes the event record of an incident as it now stands. Its time is the onset, for a resolved
// incident the end; its observed time is the newest event time that had been seen when that was found. The record
// of a resolved one is the incident's report.
func eventOf(in *incident.Incident, seen *breakers) emit.Event {
	ev := emit.Event{
		Time:     in.Onset,
		Observed: in.Seen,
		TraceID:  in.Verdict.TraceID,
		SpanID:   in.Verdict.SpanID,
		Body:     in.Verdict.Summary,
	}
	switch in.State {
	case incident.Opened:
		ev.Name, ev.Severity = eventOpened, plog.SeverityNumberError
	case incident.Updated:
		ev.Name, ev.Severity = eventUpdated, plog.SeverityNumberWarn
	case incident.Resolved:
		ev.Name, ev.Severity, ev.Time = eventResolved, plog.SeverityNumberInfo, in.Resolved
		ev.Body = fmt.Sprintf("The incident with root cause %s is resolved: all has been well for a while, %s after its onset.",
			in.Verdict.Root, time.Duration(in.Resolved-in.Onset).Round(time.Second))
		if in.Stale {
			ev.Body = fmt.Sprintf("The incident with root cause %s is stale: it has lasted for %s, and what it is about is taken for normal from now on.",
				in.Verdict.Root, time.Duration(in.Resolved-in.Onset).Round(time.Second))
		}
	}
	ev.Attributes = func(m pcommon.Map) { describe(m, in, seen) }
	return ev
}

func describe(m pcommon.Map, in *incident.Incident, seen *breakers) {
	v := &in.Verdict
	m.PutStr(keyIncidentID, in.ID)
	m.PutStr(keyNode, v.Root)
	m.PutStr(keyKind, v.Kind)
	put(m, keyReason, v.Reason)
	put(m, keyCause, v.Cause)
	put(m, keyInstance, v.Instance)
	put(m, keyVersion, v.Version)
	put(m, keyHost, v.Host)
	put(m, keyZone, v.Zone)
	m.PutDouble(keyScore, v.Score)
	put(m, keyPath, annotationOf(in).path)
	names, scores := m.PutEmptySlice(keyCandidates), pcommon.NewSlice()
	for _, c := range v.Ranked {
		names.AppendEmpty().SetStr(c.Node)
		scores.AppendEmpty().SetDouble(c.Score)
	}
	scores.CopyTo(m.PutEmptySlice(keyCandidateScores))
	putAll(m, keyImpacted, v.Impacted)
	putAll(m, keyEntries, v.Entries)
	put(m, keyTrigger, v.Trigger)
	putAll(m, keyPropagation, v.Propagation)
	putAll(m, keyAmplifiers, v.Amplifiers)
	m.PutInt(keyHurt, v.Hurt)
	putAll(m, keyEvidence, v.Evidence)
	m.PutDouble(keyDetectionDelay, seconds(in.Delay))
	if in.State == incident.Resolved {
		m.PutDouble(keyDuration, seconds(in.Resolved-in.Onset))
		putAll(m, keyTimeline, timelineOf(in, seen))
	}
}

func putAll(m pcommon.Map, key string, values []string) {
	s := m.PutEmptySlice(key)
	for _, v := range values {
		s.AppendEmpty().SetStr(v)
	}
}

func seconds(ns int64) float64 { return time.Duration(ns).Seconds() }
