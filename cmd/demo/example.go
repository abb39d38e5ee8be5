// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/ptrace"
)

// reportSpan prints a whole span; a plus marks what was added on its way.
func reportSpan(w io.Writer, e exampleSpan) {
	heading(w, "ONE ENRICHED SPAN (+ added on its way)")
	if !e.found {
		fmt.Fprintln(w, "  None was annotated.")
		return
	}
	s := e.span
	took := s.EndTimestamp().AsTime().Sub(s.StartTimestamp().AsTime())
	fmt.Fprintf(w, "  %s  %s  %s  %.3f ms  %s\n", service(e.resource), strings.ToUpper(s.Kind().String()), s.Name(),
		float64(took.Microseconds())/1000, status(s.Status()))
	parent := s.ParentSpanID().String()
	if parent == "" {
		parent = "none"
	}
	fmt.Fprintf(w, "  trace %s  span %s  parent %s  ended %s\n", s.TraceID(), s.SpanID(), parent,
		s.EndTimestamp().AsTime().Format("15:04:05.000"))
	attributes(w, s.Attributes())
	for _, ev := range s.Events().All() {
		fmt.Fprintf(w, "    event %s %s\n", ev.Name(), values(ev.Attributes()))
	}
	for _, l := range s.Links().All() {
		fmt.Fprintf(w, "    link  trace %s  span %s\n", l.TraceID(), l.SpanID())
	}
}

// reportEvent prints a whole event record.
func reportEvent(w io.Writer, e exampleEvent) {
	heading(w, "ONE EVENT RECORD")
	if !e.found {
		fmt.Fprintln(w, "  None was written.")
		return
	}
	lr := e.record
	fmt.Fprintf(w, "  %s  %s  %s  %s\n", lr.EventName(), severity(lr.SeverityText(), lr.SeverityNumber().String()),
		lr.Timestamp().AsTime().Format("15:04:05.000"), values(e.resource.Attributes()))
	if !lr.TraceID().IsEmpty() {
		fmt.Fprintf(w, "  trace %s  span %s\n", lr.TraceID(), lr.SpanID())
	}
	fmt.Fprintf(w, "  %s\n", lr.Body().AsString())
	attributes(w, lr.Attributes())
}

func attributes(w io.Writer, m pcommon.Map) {
	keys, width := make([]string, 0, m.Len()), 0
	for k := range m.All() {
		keys = append(keys, k)
		width = max(width, len(k))
	}
	for _, k := range sortedKeys(keys, isOurs) {
		mark := " "
		if isOurs(k) {
			mark = "+"
		}
		v, _ := m.Get(k)
		name := k
		for _, line := range lines(v) {
			fmt.Fprintf(w, "  %s %-*s  %s\n", mark, width, name, line)
			mark, name = " ", ""
		}
	}
}

// lines gives each sentence of a list a line of its own, and anything else one.
func lines(v pcommon.Value) []string {
	whole := v.AsString()
	if v.Type() != pcommon.ValueTypeSlice || len(whole) <= 80 {
		return []string{whole}
	}
	out := make([]string, 0, v.Slice().Len())
	for _, e := range v.Slice().All() {
		out = append(out, "- "+e.AsString())
	}
	return out
}

func isOurs(key string) bool {
	return strings.HasPrefix(key, "rca.") || strings.HasPrefix(key, "breaker.")
}

// values writes attributes on one line.
func values(m pcommon.Map) string {
	parts := make([]string, 0, m.Len())
	for k, v := range m.All() {
		parts = append(parts, k+"="+v.AsString())
	}
	return strings.Join(parts, " ")
}

func service(res pcommon.Resource) string {
	m := res.Attributes()
	name := str(m, "service.name")
	if ns := str(m, "service.namespace"); ns != "" {
		name = ns + "/" + name
	}
	if id := str(m, "service.instance.id"); id != "" {
		name += " [" + id + "]"
	}
	return name
}

func status(s ptrace.Status) string {
	text := strings.ToUpper(s.Code().String())
	if s.Message() != "" {
		text += fmt.Sprintf(" %q", s.Message())
	}
	return text
}

func severity(text, number string) string {
	if text != "" {
		return text
	}
	return number
}
