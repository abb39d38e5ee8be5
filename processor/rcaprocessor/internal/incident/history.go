// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package incident

import "cmp"

// Change is what was said of an incident at one time: a line of its timeline.
type Change struct {
	At       int64   `json:"at"` // newest event time when it was found; of the end, the end
	State    State   `json:"state"`
	Stale    bool    `json:"stale,omitempty"`
	Root     string  `json:"root"`
	Reason   string  `json:"reason"`
	Cause    string  `json:"cause"`
	Place    string  `json:"place,omitempty"` // the replica, version, host or zone that stands out
	Score    float64 `json:"score"`
	Impacted int     `json:"impacted"` // nodes that are hurt and not guilty
}

// maxHistory bounds the changes that an incident remembers: the first ones, which tell how it was found.
const maxHistory = 64

// note writes down how the incident stands now. Copies of the incident share what was written before, and only that.
func (k *Keeper) note(in *Incident) {
	if len(in.History) == maxHistory {
		in.Untold++
		k.Beyond.Untold++
		return
	}
	v := &in.Verdict
	c := Change{
		At: in.Seen, State: in.State, Stale: in.Stale, Root: v.Root, Reason: v.Reason, Cause: v.Cause,
		Place: cmp.Or(v.Instance, v.Version, v.Host, v.Zone), Score: v.Score, Impacted: len(v.Impacted),
	}
	if in.State == Resolved {
		c.At = in.Resolved
	}
	in.History = append(in.History, c)
}
