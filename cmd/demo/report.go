// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"time"

	"github.com/firebreak-otel/firebreak/internal/replay"
)

// report prints what an on-call engineer wants to read, the cause first.
func report(w io.Writer, inc *replay.Incident, got *output, j judgement, t course, f files) {
	truth := inc.Truth
	reportVerdicts(w, truth, got)
	reportBreakers(w, truth, got)
	reportAnnotations(w, inc, got)
	reportSpan(w, got.span)
	reportEvent(w, got.event)
	reportTruth(w, truth, j)
	reportRun(w, inc, t, f)
}

func heading(w io.Writer, text string) { fmt.Fprintf(w, "\n%s\n", text) }

func field(w io.Writer, name, format string, a ...any) {
	fmt.Fprintln(w, indent(name, fmt.Sprintf(format, a...)))
}

func reportVerdicts(w io.Writer, truth replay.Truth, got *output) {
	if len(got.incidents) == 0 {
		heading(w, "VERDICT")
		fmt.Fprintln(w, "  No verdict: no incident was opened.")
	}
	for n, inc := range got.incidents {
		if len(got.incidents) == 1 {
			heading(w, "VERDICT")
		} else {
			heading(w, fmt.Sprintf("VERDICT %d of %d", n+1, len(got.incidents)))
		}
		reportVerdict(w, truth, inc)
	}
}

func reportVerdict(w io.Writer, truth replay.Truth, inc *incident) {
	v, ok := inc.verdict()
	if !ok {
		fmt.Fprintf(w, "  Incident %s names no cause.\n", inc.id)
		return
	}
	v = inc.told(v)
	fmt.Fprintf(w, "  %s\n", v.sentence)
	field(w, "root cause", "%s (%s): %s, score %.2f", v.root, kindAndPart(v.kind, v.instance, v.version), v.reason, v.score)
	if v.path != "" {
		field(w, "path", "%s", v.path)
	}
	for i, e := range v.evidence {
		name := ""
		if i == 0 {
			name = "evidence"
		}
		field(w, name, "- %s", e)
	}
	reportOthers(w, v)
	if len(v.impacted) > 0 {
		field(w, "impacted", "%s", strings.Join(v.impacted, ", "))
	}
	reportLife(w, truth, inc)
}

// kindAndPart is the kind of a node, and the one instance or version of it that is to blame.
func kindAndPart(kind, instance, version string) string {
	if instance != "" {
		kind += ", instance " + instance
	}
	if version != "" {
		kind += ", version " + version
	}
	return kind
}

func reportOthers(w io.Writer, v finding) {
	name := "others"
	for rank, c := range v.candidates {
		if c.node == v.root {
			continue
		}
		field(w, name, "%d. %s, score %.2f", rank+1, c.node, c.score)
		name = ""
	}
	if name != "" {
		field(w, name, "no other candidate")
	}
}

func reportLife(w io.Writer, truth replay.Truth, inc *incident) {
	field(w, "incident", "%s, %d event records", inc.id, len(inc.findings))
	first := inc.findings[0]
	field(w, "onset", "%s", after(first.onset, truth.Injected))
	blamed := first.root
	field(w, "opened", "%s, %s after the onset, blaming %s", after(first.detected, truth.Injected), seconds(first.delay), orNone(blamed))
	for _, f := range inc.findings[1:] {
		if f.root != "" && f.root != blamed {
			field(w, "updated", "%s, blaming %s", after(f.detected, truth.Injected), f.root)
			blamed = f.root
		}
	}
	if r, ok := inc.find(resolved); ok {
		field(w, "resolved", "%s", after(r.detected, truth.Injected))
	} else {
		field(w, "resolved", "not within the recording")
	}
}

func orNone(node string) string {
	if node == "" {
		return "nothing yet"
	}
	return node
}

// maxTransitions is how many changes of breakers are printed; the files hold all.
const maxTransitions = 12

func reportBreakers(w io.Writer, truth replay.Truth, got *output) {
	heading(w, "BREAKERS")
	ts, fromSpans := got.transitions, false
	if len(ts) == 0 {
		ts, fromSpans = got.firstSeen, true
	}
	if len(ts) == 0 {
		fmt.Fprintln(w, "  None opened.")
		return
	}
	slices.SortStableFunc(ts, func(a, b transition) int { return a.at.Compare(b.at) })
	width := 0
	for _, t := range ts {
		width = max(width, len(t.name))
	}
	for i, t := range ts {
		if i == maxTransitions {
			fmt.Fprintf(w, "  ... and %d more\n", len(ts)-i)
			break
		}
		line := fmt.Sprintf("  %-*s  ", width, t.name)
		if fromSpans {
			line += "first seen " + t.to
		} else {
			line += t.from + " -> " + t.to
		}
		// On the way to half_open there is nothing new to count: time alone has passed.
		if t.requests > 0 && t.to != "half_open" {
			line += fmt.Sprintf(", %.0f %% of %s calls failed", t.ratio*100, count(int(t.requests)))
		}
		fmt.Fprintf(w, "%s, %s\n", line, after(t.at, truth.Injected))
	}
}

func reportAnnotations(w io.Writer, inc *replay.Incident, got *output) {
	heading(w, "ANNOTATED")
	field(w, "spans", "%s of %s (rca.* on %s, breaker.* on %s)",
		count(got.annotatedSpans), count(got.spans), count(got.rcaSpans), count(got.breakerSpans))
	field(w, "logs", "%s of %s, and %s event records added", count(got.annotatedLogs), count(got.logs), count(got.events))
	field(w, "in and out", "%s spans in, %s out; %s log records in, %s out",
		count(inc.SpanCount()), count(got.spans), count(inc.LogCount()), count(got.logs))
}

func reportTruth(w io.Writer, truth replay.Truth, j judgement) {
	heading(w, "TRUTH")
	field(w, "done", "%s", truth.Description)
	if truth.Verdict.Silent {
		field(w, "right verdict", "none: nothing may be opened")
	} else {
		v := truth.Verdict
		field(w, "right verdict", "%s (%s)", v.Root, kindAndPart(v.Kind, v.Instance, v.Version))
	}
	if j.right {
		field(w, "so", "RIGHT")
		return
	}
	field(w, "so", "WRONG: %s", strings.Join(j.wrong, "; "))
}

func reportRun(w io.Writer, inc *replay.Incident, t course, f files) {
	heading(w, "RUN")
	items := inc.SpanCount() + inc.LogCount()
	field(w, "took", "%s: collector start %s, replay %s (%s items/s), stop %s", seconds(t.total),
		seconds(t.start), seconds(t.replay), count(int(float64(items)/max(t.replay.Seconds(), 0.001))), seconds(t.stop))
	length := inc.Truth.Recorded.To.Sub(inc.Truth.Recorded.From)
	if length > 0 {
		field(w, "", "%s of telemetry", length.Round(time.Second))
	}
	field(w, "files", "%s  %s  (collector: %s)", f.traces, f.logs, f.collectorLog)
	for i, line := range t.warnings {
		name := ""
		if i == 0 {
			name = "it warned"
		}
		field(w, name, "%s", line)
	}
}

// sortedKeys puts what we wrote after what was there, each in order of name.
func sortedKeys(keys []string, isOurs func(string) bool) []string {
	slices.SortFunc(keys, func(a, b string) int {
		if isOurs(a) != isOurs(b) {
			if isOurs(b) {
				return -1
			}
			return 1
		}
		return cmp.Compare(a, b)
	})
	return keys
}
