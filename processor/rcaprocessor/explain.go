// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor // import "github.com/firebreak-otel/firebreak/processor/rcaprocessor"

import (
	"time"

	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/contrast"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/engine"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
)

// Explainer answers, after the fact, who is to blame for a window of time. It learns as the processor does
// and needs no symptom to open a gate. It changes nothing of what it is given, and is not safe for concurrent use.
type Explainer struct {
	engine *engine.Engine
	batch  call.Batch
	lines  []engine.LogLine
}

// NewExplainer makes an Explainer with the processor's default configuration, but a more patient one.
func NewExplainer() *Explainer {
	cfg := createDefaultConfig().(*Config)
	// Nobody waits for the answer: what comes late is waited for, and slow traces are left whole.
	cfg.AllowedLateness, cfg.TraceQuiet = time.Minute, 10*time.Second
	return &Explainer{engine: engine.New(cfg.settings(), func(incident.Incident) {})}
}

// Traces learns from spans, in about the order in which they ended.
func (x *Explainer) Traces(td ptrace.Traces) {
	x.batch.Read(td)
	x.engine.Learn(&x.batch, nil)
	x.batch.Reset()
}

// Logs learns from log records; they must not come much later than the spans of their time.
func (x *Explainer) Logs(ld plog.Logs) {
	x.lines = readLines(ld, x.lines[:0])
	learnLines(x.engine, x.lines)
}

// Lost returns how many spans, observations and log records could not be used so far: they came late, were of a
// time not to be believed, or lay beyond a limit.
func (x *Explainer) Lost() (spans, observations, logs int64) {
	c := x.engine.Counts()
	return c.Late + c.Future + c.TraceFull + c.Unplaced, c.EvidenceFull, c.LogsLost
}

// Suspect is a node, and how much speaks against it.
type Suspect struct {
	Name     string
	Service  bool               // it emits spans; else a database, a topic, an external party
	Score    float64            // 0..1; comparable within one answer only
	Families map[string]float64 // score by kind of evidence: own_time, gap, structure, errors, logs
	Evidence []string           // strongest first
}

// Explain ranks who is to blame for what happened in [from, to), the likeliest first. What was seen before
// from is what is normal. An empty answer says that nothing deviates, or that too little was seen.
func (x *Explainer) Explain(from, to time.Time) []Suspect { return x.ExplainWithout(from, to) }

// ExplainWithout is Explain without some kinds of evidence, by the names that Suspect.Families has: to
// measure what each is worth.
func (x *Explainer) ExplainWithout(from, to time.Time, families ...string) []Suspect {
	var opt contrast.Options
	for f := range contrast.Family(contrast.Families) {
		for _, name := range families {
			opt.Without[f] = opt.Without[f] || name == f.String()
		}
	}
	var out []Suspect
	for _, s := range x.engine.Explain(from.UnixNano(), to.UnixNano(), opt) {
		families := map[string]float64{}
		for f, p := range s.Family {
			if p > 0 {
				families[contrast.Family(f).String()] = p
			}
		}
		out = append(out, Suspect{Name: s.Name, Service: s.Service, Score: s.Score, Families: families, Evidence: x.engine.Words(&s)})
	}
	return out
}
