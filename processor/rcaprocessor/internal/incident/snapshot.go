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
	k.open = snapshotAll(c, k.open, maxOpen)
	k.past = snapshotAll(c, k.past, maxPast)
	c.Int(&k.alarm)
	c.Int(&k.looked)
	n := c.Count(len(k.streaks), maxStreaks, "causes")
	for i := 0; i < n && c.Err() == nil; i++ {
		if c.Reading() {
			k.streaks = append(k.streaks, streak{})
		}
		s := &k.streaks[i]
		c.String(&s.Root)
		c.Time(&s.Since)
	}
}

// maxStreaks is more causes than a ranking gives.
const maxStreaks = 64

// Lapse ends the open incidents, which nobody has watched for long, as of when they were last seen, and returns
// them. The same trouble is another incident then.
func (k *Keeper) Lapse(seen int64) (ended []Incident) {
	k.alarm, k.looked, k.streaks = 0, 0, nil
	for _, in := range k.open {
		in.State, in.Changed, in.Resolved = Resolved, seen, seen
		k.note(in)
		k.retire(in)
		ended = append(ended, *in)
	}
	k.open = nil
	return ended
}

func snapshotAll(c *snapshot.Codec, all []*Incident, limit int) []*Incident {
	n := c.Count(len(all), limit, "incidents")
	if !c.Reading() {
		for _, in := range all {
			write(c, in)
		}
		return all
	}
	for range n {
		if in := read(c); in != nil {
			all = append(all, in)
		}
	}
	return all
}

func write(c *snapshot.Codec, in *Incident) {
	v := &in.Verdict
	b, err := json.Marshal(saved{*in, in.State, v.Onset, v.TraceID, v.SpanID})
	if err != nil {
		c.Fail("an incident cannot be written: " + err.Error())
	}
	text := string(b)
	c.String(&text)
}

// read returns nil when there is no incident to be read.
func read(c *snapshot.Codec) *Incident {
	var text string
	if c.String(&text); c.Err() != nil {
		return nil
	}
	var s saved
	if err := json.Unmarshal([]byte(text), &s); err != nil || s.State > Resolved || len(s.Incident.History) > maxHistory {
		c.Fail("an incident cannot be read")
		return nil
	}
	for _, at := range []int64{s.Onset, s.Incident.Onset, s.Incident.Detected, s.Incident.Seen, s.Incident.Changed, s.Incident.Resolved, s.Incident.LastBad} {
		if at < 0 || at > snapshot.MaxTime {
			c.Fail("an incident lies beyond all times")
			return nil
		}
	}
	for _, change := range s.Incident.History {
		if change.State > Resolved || change.At < 0 || change.At > snapshot.MaxTime {
			c.Fail("what was said of an incident cannot be read")
			return nil
		}
	}
	s.Incident.State = s.State
	v := &s.Incident.Verdict
	v.Onset, v.TraceID, v.SpanID = s.Onset, s.TraceID, s.SpanID
	return &s.Incident
}
