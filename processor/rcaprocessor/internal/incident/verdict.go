// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

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
	Root        string   `json:"root"`                 // node name, or Unknown
	Kind        string   `json:"kind"`                 // service, database, messaging, external, host, zone, unknown
	Reason      string   `json:"reason"`               // errors, see blame.Reason
	Cause       string   `json:"cause"`                // in what way it is guilty: a name of the cause codebook
	Instance    string   `json:"instance,omitempty"`   // where one instance is guilty
	Version     string   `json:"version,omitempty"`    // where one version is guilty
	Host        string   `json:"host,omitempty"`       // where all guilty replicas run on one host
	Zone        string   `json:"zone,omitempty"`       // where they are in one zone
	Score       float64  `json:"score"`                // 0..1
	Path        []string `json:"path"`                 // entry first, root last
	Ranked      []Ranked `json:"candidates"`           // the likeliest first, root included
	Impacted    []string `json:"impacted"`             // nodes that are hurt and not guilty
	Members     []string `json:"members,omitempty"`    // of a host or a zone: the services that are hurt there
	Entries     []string `json:"entries"`              // operations at which hurt units of work came in, by which the end is noticed
	Trigger     string   `json:"trigger,omitempty"`    // what set it off, as far as it is known
	Propagation []string `json:"propagation"`          // nodes that passed it on, from the root outwards
	Amplifiers  []string `json:"amplifiers,omitempty"` // edges, caller -> callee, whose retries make it worse
	Moves       []Move   `json:"moves"`                // when each node was hurt first, the earliest first
	Hurt        int64    `json:"hurt"`                 // units of work hurt by it in the window that the verdict looks at
	Evidence    []string `json:"evidence"`             // sentences with numbers
	Summary     string   `json:"summary"`              // one sentence
	Onset       int64    `json:"-"`                    // when the first call that trouble began with started, unix nanoseconds
	TraceID     [16]byte `json:"-"`                    // an exemplar
	SpanID      uint64   `json:"-"`
}

// Move is when a node was hurt first, in unix nanoseconds.
type Move struct {
	Node string `json:"node"`
	At   int64  `json:"at"`
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
	LastBad  int64   `json:"last_bad"`           // the latest second that spoke against normal
	Verdict  Verdict `json:"verdict"`
	// History is what was said of it so far, the oldest first; Untold is how many changes it has no room for.
	History []Change `json:"history,omitempty"`
	Untold  int      `json:"untold,omitempty"`
}

// leads says whether the root is ahead of the next candidate by margin.
func leads(v *Verdict, margin float64) bool {
	return len(v.Ranked) < 2 || v.Ranked[0].Score-v.Ranked[1].Score >= margin
}

// news says whether a later verdict on the same root tells more than the earlier one.
func news(old, v *Verdict) bool {
	const scoreStep = 0.1
	return v.Reason != old.Reason || v.Cause != old.Cause || v.Trigger != old.Trigger || v.Instance != old.Instance || v.Version != old.Version || v.Host != old.Host || v.Zone != old.Zone ||
		!slices.Equal(v.Impacted, old.Impacted) || math.Abs(v.Score-old.Score) >= scoreStep
}

func unknown(v Verdict) Verdict {
	v.Root, v.Kind, v.Cause, v.Path = Unknown, Unknown, Unknown, nil
	v.Instance, v.Version, v.Host, v.Zone, v.Trigger = "", "", "", "", ""
	v.Members, v.Propagation, v.Amplifiers = nil, nil, nil
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

const minute = int64(60e9)

// id is short, and the same on every replica that finds the same root within the same minute.
func id(v Verdict, onset int64) string {
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
