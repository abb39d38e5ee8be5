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
func (s *Study) Words(c *Suspect) (out []string) {
	for i := range c.Evidence[:min(len(c.Evidence), mostWords)] {
		e := &c.Evidence[i]
		var what string
		switch e.Family {
		case contrast.OwnTime:
			what = fmt.Sprintf("own time of %s%s: %s -> %s", s.OpName(graph.OpID(e.Op)), s.on(e.Instance), millis(e.Normal), millis(e.Now))
		case contrast.Gap:
			what = fmt.Sprintf("calls from %s to %s beyond their answers: %s -> %s",
				s.NodeName(graph.NodeID(e.Edge.From)), s.NodeName(graph.NodeID(e.Edge.To)), millis(e.Normal), millis(e.Now))
		case contrast.Structure:
			what = fmt.Sprintf("%s with %s: %s -> %s", s.OpName(graph.OpID(e.Op)), s.featureName(e.Feature), percent(e.Normal), percent(e.Now))
		case contrast.Errors:
			what = fmt.Sprintf("units of work whose failure began here: %s -> %s", percent(e.Normal), percent(e.Now))
		}
		out = append(out, fmt.Sprintf("%s (z %.1f over %d, %s of the whole)", what, e.Z, e.Calls, percent(e.Share)))
	}
	return out
}

func (s *Study) featureName(f contrast.Feature) string {
	switch {
	case f.Kind == contrast.Child:
		op := graph.OpID(f.Key)
		return fmt.Sprintf("a child %s of %s", s.OpName(op), s.NodeName(s.graph.OpAt(op).Node))
	case f.Grave:
		return fmt.Sprintf("an error line of template %x", f.Key)
	}
	return fmt.Sprintf("a log line of template %x", f.Key)
}

// on names a replica, where replicas have names.
func (s *Study) on(i contrast.Instance) string {
	if in := s.graph.InstanceAt(graph.InstanceID(i)); in.Name != "" {
		return " on " + in.Name
	}
	return ""
}

func millis(ms float64) string { return duration(int64(ms * 1e6)) }
