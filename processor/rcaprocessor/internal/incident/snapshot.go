// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package incident

import (
	"encoding/json"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/snapshot"
)

// saved is an Incident with the fields that its JSON form leaves out.
type saved struct {
	Incident Incident `json:"incident"`
	State    State    `json:"state"`
	Onset    int64    `json:"verdict_onset"`
	TraceID  [16]byte `json:"trace_id"`
	SpanID   uint64   `json:"span_id"`
}

// Snapshot writes the life of incidents to c, or reads it into k. The policy is left alone.
func (k *Keeper) Snapshot(c *snapshot.Codec) {
	k.open = snapshotOf(c, k.open)
	k.last = snapshotOf(c, k.last)
	c.Int(&k.alarm)
	c.Int(&k.looked)
	c.String(&k.leading)
}

// Lapse ends an open incident that nobody has watched for long, as of when it was last seen, and returns it; nil when
// there is none. The same trouble is another incident then.
func (k *Keeper) Lapse(seen int64) *Incident {
	if k.alarm, k.looked, k.leading = 0, 0, ""; k.open == nil {
		return nil
	}
	k.open.State, k.open.Changed, k.open.Resolved = Resolved, seen, seen
	k.last, k.open = k.open, nil
	in := *k.last
	return &in
}

func snapshotOf(c *snapshot.Codec, in *Incident) *Incident {
	var text string
	if in != nil {
		v := &in.Verdict
		b, err := json.Marshal(saved{*in, in.State, v.Onset, v.TraceID, v.SpanID})
		if err != nil {
			c.Fail("an incident cannot be written: " + err.Error())
		}
		text = string(b)
	}
	c.String(&text)
	if !c.Reading() {
		return in
	}
	if text == "" {
		return nil
	}
	var s saved
	if err := json.Unmarshal([]byte(text), &s); err != nil || s.State > Resolved {
		c.Fail("an incident cannot be read")
		return nil
	}
	for _, at := range []int64{s.Onset, s.Incident.Onset, s.Incident.Detected, s.Incident.Seen, s.Incident.Changed, s.Incident.Resolved} {
		if at < 0 || at > snapshot.MaxTime {
			c.Fail("an incident lies beyond all times")
			return nil
		}
	}
	s.Incident.State = s.State
	v := &s.Incident.Verdict
	v.Onset, v.TraceID, v.SpanID = s.Onset, s.TraceID, s.SpanID
	return &s.Incident
}
