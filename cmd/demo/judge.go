// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"

	"github.com/firebreak-otel/firebreak/internal/replay"
)

// judgement compares the output with the truth.
type judgement struct {
	right bool
	wrong []string // what is not as it should be, a sentence each
}

// judge is strict: the incident has to be there, each incident's last word has to be the truth, and a
// recording of something harmless has to pass in silence.
func judge(inc *replay.Incident, got *output) judgement {
	truth, spans, logs := inc.Truth, inc.SpanCount(), inc.LogCount()
	var wrong []string
	say := func(format string, a ...any) { wrong = append(wrong, fmt.Sprintf(format, a...)) }
	if spans != got.spans {
		say("%s spans went in and %s came out", count(spans), count(got.spans))
	}
	if logs != got.logs {
		say("%s log records went in and %s came out", count(logs), count(got.logs))
	}
	if truth.Verdict.Silent {
		for _, inc := range got.incidents {
			say("incident %s was opened though nothing was wrong", inc.id)
		}
		if got.opened() {
			say("a breaker opened though nothing was wrong")
		}
		return judgement{len(wrong) == 0, wrong}
	}
	if len(got.incidents) == 0 {
		say("no verdict: no incident was opened, the truth is %s", truth.Verdict.Root)
	}
	for _, inc := range got.incidents {
		judgeIncident(truth.Verdict, inc, say)
	}
	return judgement{len(wrong) == 0, wrong}
}

func judgeIncident(want replay.Verdict, inc *incident, say func(string, ...any)) {
	v, ok := inc.verdict()
	switch {
	case !ok:
		say("incident %s names no cause, the truth is %s", inc.id, want.Root)
	case v.root != want.Root:
		say("incident %s blames %s, the truth is %s", inc.id, v.root, want.Root)
	case v.kind != want.Kind:
		say("incident %s takes %s for a %s, it is a %s", inc.id, v.root, v.kind, want.Kind)
	case v.instance != want.Instance:
		say("incident %s blames %s of %s, the truth is %s", inc.id, part("instance", v.instance), v.root, part("instance", want.Instance))
	case v.version != want.Version:
		say("incident %s blames %s of %s, the truth is %s", inc.id, part("version", v.version), v.root, part("version", want.Version))
	}
}

// part names one instance or version of a node, or all of them.
func part(what, name string) string {
	if name == "" {
		return "every " + what
	}
	return what + " " + name
}
