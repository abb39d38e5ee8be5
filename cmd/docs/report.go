// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"sort"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// reportPage is docs/incident-report.md: the record of an incident that is over, as a report and as it is written.
func reportPage(lr plog.LogRecord) string {
	a := lr.Attributes()
	var b strings.Builder
	b.WriteString("# The incident report\n\n" + generated + `
When an incident is over, the logs pipeline gets one record ` + "`" + shown + "`" + `, which is its report: nothing else has to be
asked. The form below fills in by the attributes that are named beside each part, and can be copied into whatever people
write their reports in; what it shows is a recorded incident, ` + "`testdata/incidents/" + recording + "`" + `, with ` + "`breaker`" + ` before ` + "`rca`" + `.
All attributes are explained in [attributes.md](attributes.md), and how the verdict came about in [how-it-decides.md](how-it-decides.md).

## The report

`)
	fmt.Fprintf(&b, "**%s**: %s\n\n", text(a, "rca.incident.id"), lr.Body().Str())
	fmt.Fprint(&b, "| | | From |\n| --- | --- | --- |\n")
	row := func(name, value, from string) {
		if value == "" {
			value = "not known"
		}
		fmt.Fprintf(&b, "| %s | %s | %s |\n", name, value, from)
	}
	row("Root cause", fmt.Sprintf("%s (%s)", text(a, "rca.root_cause.node"), text(a, "rca.root_cause.kind")), "`rca.root_cause.node`, `.kind`; `.instance`, `.version`, `.host`, `.zone` where one stands out")
	row("In what way", fmt.Sprintf("%s: %s", text(a, "rca.root_cause.reason"), text(a, "rca.root_cause.cause")), "`rca.root_cause.reason`, `.cause`")
	row("How sure", text(a, "rca.root_cause.score"), "`rca.root_cause.score`, 0 to 1")
	row("Set off by", text(a, "rca.trigger"), "`rca.trigger`")
	row("Onset", onset(lr).Format("2006-01-02 15:04:05.000 UTC"), "the record's time less `rca.incident.duration`")
	row("Detected after", seconds(a, "rca.detection.delay"), "`rca.detection.delay`, of event time")
	row("Lasted", seconds(a, "rca.incident.duration"), "`rca.incident.duration`, until it was clear that it is over")
	row("Felt at", text(a, "rca.entry.operations"), "`rca.entry.operations`")
	row("Requests hurt", text(a, "rca.hurt.requests"), "`rca.hurt.requests`, in the last minute of the trouble at most")
	row("Also hurt", text(a, "rca.impacted.nodes"), "`rca.impacted.nodes`")
	row("The way", text(a, "rca.path"), "`rca.path`, from the entry to the root")
	row("Passed on by", text(a, "rca.propagation.nodes"), "`rca.propagation.nodes`, from the root outwards")
	row("Made worse by", orNone(text(a, "rca.amplifiers")), "`rca.amplifiers`: retries")
	row("An example", fmt.Sprintf("trace `%s`, span `%s`", lr.TraceID(), lr.SpanID()), "the record's trace and span id")

	fmt.Fprint(&b, "\n### Timeline\n\n`rca.timeline`, clock times in UTC. When breakers opened and closed is in their own records (`breaker.state_changed`); here is what\nthe failing calls showed of them.\n\n")
	for _, line := range list(a, "rca.timeline") {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	because, ruledOut := evidence(a)
	fmt.Fprint(&b, "\n### Why\n\n`rca.evidence`.\n\n")
	for _, line := range because {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	fmt.Fprint(&b, "\n### Ruled out\n\nThe sentences of `rca.evidence` that begin with *Less likely*; `rca.candidates` and `rca.candidate.scores` have all of them.\n\n")
	for _, line := range ruledOut {
		fmt.Fprintf(&b, "- %s\n", line)
	}
	fmt.Fprint(&b, "\n## The record\n\nAs it leaves the pipeline.\n\n```yaml\n")
	record(&b, lr)
	b.WriteString("```\n")
	return b.String()
}

// evidence parts the sentences that speak against the root from those that speak for others.
func evidence(a pcommon.Map) (because, ruledOut []string) {
	for _, line := range list(a, "rca.evidence") {
		if strings.HasPrefix(line, "Less likely") {
			ruledOut = append(ruledOut, line)
		} else {
			because = append(because, line)
		}
	}
	return because, ruledOut
}

// record writes a record as YAML, the attributes by name.
func record(b *strings.Builder, lr plog.LogRecord) {
	const stamp = "2006-01-02T15:04:05.000000000Z"
	fmt.Fprintf(b, "event_name: %s\n", lr.EventName())
	fmt.Fprintf(b, "timestamp: %s # the end\n", lr.Timestamp().AsTime().Format(stamp))
	fmt.Fprintf(b, "observed_timestamp: %s\n", lr.ObservedTimestamp().AsTime().Format(stamp))
	fmt.Fprintf(b, "severity: %s (%d)\n", lr.SeverityText(), lr.SeverityNumber())
	fmt.Fprintf(b, "trace_id: %s\nspan_id: %s\n", lr.TraceID(), lr.SpanID())
	fmt.Fprintf(b, "body: %q\nattributes:\n", lr.Body().Str())
	var names []string
	for name := range lr.Attributes().All() {
		names = append(names, name)
	}
	sort.Strings(names)
	for _, name := range names {
		v, _ := lr.Attributes().Get(name)
		switch {
		case v.Type() == pcommon.ValueTypeStr:
			fmt.Fprintf(b, "  %s: %q\n", name, v.Str())
		case v.Type() != pcommon.ValueTypeSlice:
			fmt.Fprintf(b, "  %s: %s\n", name, v.AsString())
		case v.Slice().Len() == 0:
			fmt.Fprintf(b, "  %s: []\n", name)
		default:
			fmt.Fprintf(b, "  %s:\n", name)
			for _, e := range v.Slice().All() {
				if e.Type() == pcommon.ValueTypeStr {
					fmt.Fprintf(b, "    - %q\n", e.Str())
				} else {
					fmt.Fprintf(b, "    - %s\n", e.AsString())
				}
			}
		}
	}
}
