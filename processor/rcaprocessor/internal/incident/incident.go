// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package incident gives a verdict a life: opened, updated when it is revised, resolved when all has been
// well for a while.
package incident

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/cespare/xxhash/v2"
)

// Verdict is what is known of the cause at one moment, in names. Its JSON form is stable.
type Verdict struct {
	Root     string   `json:"root"`               // node name, or Unknown
	Kind     string   `json:"kind"`               // service, database, messaging, external, unknown
	Reason   string   `json:"reason"`             // errors, latency, unavailable, throttled, saturation
	Instance string   `json:"instance,omitempty"` // where one instance is guilty
	Version  string   `json:"version,omitempty"`  // where one version is guilty
	Score    float64  `json:"score"`              // 0..1
	Path     []string `json:"path"`               // entry first, root last
	Ranked   []Ranked `json:"candidates"`         // the likeliest first, root included
	Impacted []string `json:"impacted"`           // nodes that are hurt and not guilty
	Evidence []string `json:"evidence"`           // sentences with numbers
	Summary  string   `json:"summary"`            // one sentence
	Onset    int64    `json:"-"`                  // when the first call that trouble began with started, unix nanoseconds
	TraceID  [16]byte `json:"-"`                  // an exemplar
	SpanID   uint64   `json:"-"`
}

// Ranked is a candidate and its score, 0..1.
type Ranked struct {
	Node  string  `json:"node"`
	Score float64 `json:"score"`
}

// Unknown is the root of a verdict that no candidate explains well enough.
const Unknown = "unknown"

// State is where an incident stands in its life.
type State uint8

const (
	Opened State = iota
	Updated
	Resolved
)

func (s State) String() string { return [...]string{"opened", "updated", "resolved"}[s] }

// Incident is a verdict with a life. Times are event time in unix nanoseconds. Its JSON form is stable.
type Incident struct {
	ID       string  `json:"id"`
	State    State   `json:"-"`
	Delay    int64   `json:"delay"` // event time that had passed since the onset when it opened, nanoseconds
	Onset    int64   `json:"onset"`
	Detected int64   `json:"detected"`           // end of the second whose analysis opened it
	Seen     int64   `json:"seen"`               // newest event time when it opened or changed last
	Changed  int64   `json:"changed"`            // of the latest change of state or verdict
	Resolved int64   `json:"resolved,omitempty"` // 0 while open
	Stale    bool    `json:"stale,omitempty"`    // it was resolved because it lasted: what it was about is taken for normal
	Verdict  Verdict `json:"verdict"`
}

// Policy says when an incident opens, changes and ends. Durations in nanoseconds.
type Policy struct {
	Confidence   float64 // the least score that names a cause
	Patience     int64   // after so long without a cause an incident opens as Unknown
	UpdateEvery  int64   // at most one update in so long
	Margin       float64 // a root must lead by so much
	ResolveAfter int64   // all must have been well for so long
	ReopenWithin int64   // the same root again within so long is the same incident
	MaxDuration  int64   // what has been open for so long is normal from then on; 0 for never
}

// Observation is what one second brought.
type Observation struct {
	Now     int64 // end of the second, event time
	Head    int64 // newest event time seen
	Alarm   bool  // a gate is open
	Onset   int64 // of the alarm
	LastBad int64 // the latest second that spoke against normal
	Silent  bool  // where things were bad, nothing has been heard since
	Verdict func() Verdict
}

// silence is not health: it takes so many times longer to end an incident.
const silence = 10

// Keeper holds the life of incidents. The zero Keeper with a Policy is ready to use.
type Keeper struct {
	Policy  Policy
	open    *Incident
	last    *Incident
	alarm   int64  // since when there is an alarm without an incident
	looked  int64  // when news was looked for last
	leading string // root of the previous second's verdict
}

// Open returns the open incident, nil when there is none.
func (k *Keeper) Open() *Incident { return k.open }

// Step takes one second's observation; it returns the incident as it stands when it opened, changed or ended, else nil.
func (k *Keeper) Step(o Observation) *Incident {
	if k.open == nil {
		return k.mayOpen(o)
	}
	well := o.Now - max(o.LastBad, k.open.Detected)
	if well >= k.Policy.ResolveAfter && !o.Silent || well >= silence*k.Policy.ResolveAfter {
		return k.resolve(o)
	}
	if k.Policy.MaxDuration > 0 && o.Now-k.open.Detected >= k.Policy.MaxDuration {
		k.open.Stale = true
		return k.resolve(o)
	}
	if o.Alarm {
		return k.mayUpdate(o)
	}
	return nil
}

// Rewind tells the Keeper that the clock was wrong and has been set back to now.
func (k *Keeper) Rewind(now int64) {
	k.alarm, k.looked, k.leading, k.last = 0, 0, "", nil
	if in := k.open; in != nil {
		in.Onset, in.Detected = min(in.Onset, now), min(in.Detected, now)
		in.Seen, in.Changed = min(in.Seen, now), min(in.Changed, now)
	}
}

func (k *Keeper) mayOpen(o Observation) *Incident {
	if !o.Alarm {
		k.alarm, k.leading = 0, ""
		return nil
	}
	if k.alarm == 0 {
		k.alarm = o.Now
	}
	v := o.Verdict()
	sure := v.Score >= k.Policy.Confidence && v.Root == k.leading && leads(&v, k.Policy.Margin)
	k.leading = v.Root
	if !sure {
		if o.Now-k.alarm < k.Policy.Patience {
			return nil
		}
		if v.Score < k.Policy.Confidence {
			v = unknown(v)
		}
	}
	onset := onset(&o, &v)
	in := &Incident{State: Opened, Onset: onset, Detected: o.Now, Seen: o.Head, Delay: o.Head - onset, Changed: o.Now, Verdict: v}
	if l := k.last; l != nil && l.Verdict.Root == v.Root && o.Now-l.Resolved <= k.Policy.ReopenWithin {
		in.ID, in.Onset = l.ID, l.Onset
	} else {
		in.ID = id(v, onset)
	}
	k.open = in
	return k.snapshot()
}

// onset is when the first call of the root began. The alarm is raised by those who waited for it, so it is late
// by their timeouts, or early by whatever was amiss before.
func onset(o *Observation, v *Verdict) int64 {
	const longestWait = 10e9
	if v.Root == Unknown || v.Onset < o.Onset-longestWait || v.Onset > o.Now {
		return o.Onset
	}
	return v.Onset
}

func (k *Keeper) mayUpdate(o Observation) *Incident {
	const lookEvery = 5e9
	if o.Now-k.open.Changed < k.Policy.UpdateEvery || o.Now-k.looked < lookEvery {
		return nil
	}
	k.looked = o.Now
	v := o.Verdict()
	old := &k.open.Verdict
	if v.Root == old.Root {
		if !news(old, &v) {
			return nil
		}
	} else if v.Score < k.Policy.Confidence || v.Score < score(v.Ranked, old.Root)+k.Policy.Margin {
		return nil
	}
	k.open.State, k.open.Seen, k.open.Changed, k.open.Verdict = Updated, o.Head, o.Now, v
	return k.snapshot()
}

func (k *Keeper) resolve(o Observation) *Incident {
	if v := o.Verdict(); v.Root == k.open.Verdict.Root {
		k.open.Verdict = v // the last word on it
	}
	k.open.State, k.open.Seen, k.open.Changed, k.open.Resolved = Resolved, o.Head, o.Now, o.Now
	in := k.snapshot()
	k.last, k.open, k.alarm, k.leading = k.open, nil, 0, ""
	return in
}

func (k *Keeper) snapshot() *Incident {
	in := *k.open
	return &in
}

// leads says whether the root is ahead of the next candidate by margin.
func leads(v *Verdict, margin float64) bool {
	return len(v.Ranked) < 2 || v.Ranked[0].Score-v.Ranked[1].Score >= margin
}

// news says whether a later verdict on the same root tells more than the earlier one.
func news(old, v *Verdict) bool {
	const scoreStep = 0.1
	return v.Reason != old.Reason || v.Instance != old.Instance || v.Version != old.Version ||
		!slices.Equal(v.Impacted, old.Impacted) || math.Abs(v.Score-old.Score) >= scoreStep
}

func unknown(v Verdict) Verdict {
	v.Root, v.Kind, v.Instance, v.Version, v.Path = Unknown, Unknown, "", "", nil
	v.Summary = "Requests are hurt, and no component explains it well enough."
	if len(v.Ranked) > 0 {
		var suspects []string
		for _, r := range v.Ranked {
			suspects = append(suspects, fmt.Sprintf("%s (score %.2f)", r.Node, r.Score))
		}
		v.Summary += " Suspects: " + strings.Join(suspects, ", ") + "."
	}
	return v
}

func score(ranked []Ranked, root string) float64 {
	for _, r := range ranked {
		if r.Node == root {
			return r.Score
		}
	}
	return 0
}

// id is short, and the same on every replica that finds the same root within the same minute.
func id(v Verdict, onset int64) string {
	const minute = 60e9
	short := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r + 'a' - 'A'
		}
		return '-'
	}, v.Root)
	sum := xxhash.Sum64String(fmt.Sprintf("%s|%s|%d", v.Root, v.Kind, onset/minute))
	return fmt.Sprintf("%s-%04x", strings.Trim(short[:min(len(short), 40)], "-"), sum&0xffff)
}
