// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package engine

import (
	"fmt"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/contrast"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/graph"
)

// mostWords is how many pieces of evidence are put into words.
const mostWords = 5

// Words puts the evidence against a suspect into sentences, the strongest first.
func (e *Engine) Words(c *Suspect) (out []string) {
	for i := range c.Evidence[:min(len(c.Evidence), mostWords)] {
		ev := &c.Evidence[i]
		var what string
		switch ev.Family {
		case contrast.OwnTime:
			what = fmt.Sprintf("own time of %s%s: %s -> %s", e.OpName(graph.OpID(ev.Op)), e.on(ev.Instance), millis(ev.Normal), millis(ev.Now))
		case contrast.Gap:
			what = fmt.Sprintf("calls from %s to %s beyond their answers: %s -> %s",
				e.NodeName(graph.NodeID(ev.Edge.From)), e.NodeName(graph.NodeID(ev.Edge.To)), millis(ev.Normal), millis(ev.Now))
		case contrast.Structure:
			what = fmt.Sprintf("%s with %s: %s -> %s", e.OpName(graph.OpID(ev.Op)), e.featureName(ev.Feature), percent(ev.Normal), percent(ev.Now))
		case contrast.Errors:
			what = fmt.Sprintf("units of work whose failure began here: %s -> %s", percent(ev.Normal), percent(ev.Now))
		case contrast.Logs:
			what = fmt.Sprintf("%s%s for a unit of work: %.2g -> %.2g", e.featureName(ev.Feature), e.on(ev.Instance), ev.Normal, ev.Now)
		}
		out = append(out, fmt.Sprintf("%s (z %.1f over %d, %s of the whole)", what, ev.Z, ev.Calls, percent(ev.Share)))
	}
	return out
}

func (e *Engine) featureName(f contrast.Feature) string {
	switch {
	case f.Kind == contrast.Child:
		op := graph.OpID(f.Key)
		return fmt.Sprintf("a child %s of %s", e.OpName(op), e.NodeName(e.graph.OpAt(op).Node))
	case f.Grave:
		return fmt.Sprintf("an error line of template %x", f.Key)
	}
	return fmt.Sprintf("a log line of template %x", f.Key)
}

// on names a replica, where replicas have names.
func (e *Engine) on(i contrast.Instance) string {
	if in := e.graph.InstanceAt(graph.InstanceID(i)); in.Name != "" {
		return " on " + in.Name
	}
	return ""
}

func millis(ms float64) string { return duration(int64(ms * 1e6)) }
