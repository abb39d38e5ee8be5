// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"pgregory.net/rapid"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// noon is an onset.
const noon = dawn/(86_400*second)*(86_400*second) + 12*3600*second

func change(at int64, state incident.State, root string, score float64, impacted int) incident.Change {
	return incident.Change{At: noon + at*second, State: state, Root: root, Reason: "latency", Cause: "db_slow", Score: score, Impacted: impacted}
}

// orders is an incident of a minute.
func orders() *incident.Incident {
	return &incident.Incident{
		State: incident.Resolved, Onset: noon + second/2, LastBad: noon + 30*second, Resolved: noon + 60*second,
		Verdict: incident.Verdict{
			Root: "db", Impacted: []string{"orders"}, Trigger: "traffic",
			Moves: []incident.Move{{Node: "db", At: noon}, {Node: "orders", At: noon + 3*second}},
		},
		History: []incident.Change{
			change(8, incident.Opened, "db", .8, 1), change(60, incident.Resolved, "db", .8, 1),
		},
	}
}

func TestTimeline(t *testing.T) {
	for _, tt := range []struct {
		name   string
		change func(*incident.Incident, *breakers)
		want   []string // lines beside those of orders()
		gone   []string
	}{
		{"as it is", func(*incident.Incident, *breakers) {}, nil, nil},
		{"hurt before the onset", func(in *incident.Incident, _ *breakers) {
			in.Verdict.Moves = append(in.Verdict.Moves, incident.Move{Node: "early", At: noon - 2*second})
		}, []string{"11:59:58Z early was hurt for the first time, 2.5s before the onset."}, nil},
		{"a breaker", func(_ *incident.Incident, b *breakers) {
			b.add(sight{"orders->db", "open"}, "failure_rate", noon+2*second)
			b.add(sight{"orders->db", "open"}, "failure_rate", noon+20*second)
			b.add(sight{"orders->db SELECT", "half_open"}, "", noon+25*second)
			b.add(sight{"mail->smtp", "open"}, "", noon+25*second)
		}, []string{
			"12:00:02Z Breaker orders->db: calls were seen with it open (failure_rate).",
			"12:00:20Z Breaker orders->db: the last failing call was seen with it open.",
			"12:00:25Z Breaker orders->db SELECT: calls were seen with it half open.",
		}, nil},
		{"a breaker that was open before", func(_ *incident.Incident, b *breakers) {
			b.add(sight{"orders->db", "open"}, "", noon-300*second)
			b.add(sight{"orders->db", "open"}, "", noon+90*second)
		}, []string{"12:00:00Z Breaker orders->db: it had been open before, since 11:55:00Z."}, nil},
		{"a breaker of another time", func(_ *incident.Incident, b *breakers) {
			b.add(sight{"orders->db", "open"}, "", noon-300*second)
			b.add(sight{"gateway->orders", "open"}, "", noon+61*second)
		}, nil, nil},
		{"revised", func(in *incident.Incident, _ *breakers) {
			in.History = []incident.Change{
				change(8, incident.Opened, incident.Unknown, 0, 1), change(40, incident.Updated, "db", .7, 2), in.History[1],
			}
		}, []string{
			"12:00:08Z Detected, 7.5s after the onset: the root cause is not known yet.",
			"12:00:40Z The verdict was revised: root cause db (latency, db_slow, score 0.70), and not unknown.",
		}, []string{"12:00:08Z Detected, 7.5s after the onset: root cause db (latency, db_slow, score 0.80)."}},
		{"updated", func(in *incident.Incident, _ *breakers) {
			in.History = slices.Insert(in.History, 1, change(40, incident.Updated, "db", .8, 2), change(50, incident.Updated, "db", .8, 2))
			in.History[1].Cause, in.History[1].Place = "network", "db-1"
			in.History[2].Cause, in.History[2].Place = "network", "db-1"
		}, []string{
			"12:00:40Z Updated: still db; in what way: latency, network; where: db-1; 2 nodes beside it are hurt, not 1.",
			"12:00:50Z Updated: db, as before; other nodes beside it are hurt.",
		}, nil},
		{"back again", func(in *incident.Incident, _ *breakers) {
			in.History = slices.Insert(in.History, 1, change(20, incident.Resolved, "db", .8, 2), change(40, incident.Opened, "db", .8, 2))
		}, []string{
			"12:00:20Z Resolved, 20s after the onset: all had been well for a while.",
			"12:00:40Z It is back, and is the same incident: root cause db (latency, db_slow, score 0.80).",
		}, nil},
		{"stale, on the next day", func(in *incident.Incident, _ *breakers) {
			in.Stale, in.Resolved = true, in.Onset+86_400*second
			in.History[1].At, in.History[1].Stale = in.Resolved, true
		}, []string{"2023-11-15 12:00:00Z Given up as stale, 24h0m0s after the onset: what it is about is taken for normal."}, []string{
			"12:00:30Z It was felt for the last time.", "12:01:00Z Resolved, 1m0s after the onset: all had been well for a while.",
		}},
		{"more than is remembered", func(in *incident.Incident, _ *breakers) {
			in.History, in.Untold = in.History[:1], 7
		}, []string{"12:00:08Z Later changes of the verdict are not listed, 7 of them."}, nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			in, seen := orders(), new(breakers)
			tt.change(in, seen)
			want := []string{
				"12:00:00Z Onset: the first call that the trouble began with started. Set off by traffic.",
				"12:00:00Z db was hurt for the first time.",
				"12:00:03Z orders was hurt for the first time, 2.5s after the onset.",
				"12:00:08Z Detected, 7.5s after the onset: root cause db (latency, db_slow, score 0.80).",
				"12:00:30Z It was felt for the last time.",
				"12:01:00Z Resolved, 1m0s after the onset: all had been well for a while.",
			}
			want = slices.DeleteFunc(append(want, tt.want...), func(s string) bool { return slices.Contains(tt.gone, s) })
			assert.ElementsMatch(t, want, timelineOf(in, seen))
		})
	}
}

// However much there was, the timeline is bounded, in order, and ends with the end.
func TestTimelineIsBounded(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		in, seen := orders(), new(breakers)
		for i := range rapid.IntRange(0, 500).Draw(t, "nodes") {
			in.Verdict.Moves = append(in.Verdict.Moves, incident.Move{Node: fmt.Sprint(i), At: noon + int64(i%30)*second})
		}
		for i := range rapid.IntRange(0, 500).Draw(t, "breakers") {
			seen.add(sight{fmt.Sprintf("orders->%d", i), "open"}, "", noon+int64(i%20)*second)
			seen.add(sight{fmt.Sprintf("orders->%d", i), "open"}, "", noon+int64(20+i%20)*second)
		}
		lines := timelineOf(in, seen)
		assert.LessOrEqual(t, len(lines), maxTimeline)
		assert.True(t, slices.IsSortedFunc(lines, func(a, b string) int { return strings.Compare(a[:8], b[:8]) }))
		assert.Contains(t, lines[len(lines)-1], "Resolved, 1m0s after the onset")
	})
}
