// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor // import "github.com/firebreak-otel/firebreak/processor/rcaprocessor"

import (
	"encoding/binary"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/contrast"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/engine"
)

// line is what is learned of a log record that names its span.
type line struct {
	trace          trace.ID
	span, template uint64
	grave          bool
}

// readLines appends what there is to learn of records that name their span and say something.
func readLines(ld plog.Logs, lines []line) []line {
	for _, rl := range ld.ResourceLogs().All() {
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				id := lr.SpanID()
				if id.IsEmpty() || lr.TraceID().IsEmpty() {
					continue
				}
				text := message(lr.Body())
				if text == "" {
					continue
				}
				lines = append(lines, line{
					trace: trace.ID(lr.TraceID()), span: binary.BigEndian.Uint64(id[:]),
					template: contrast.TemplateOf(text), grave: lr.SeverityNumber() >= plog.SeverityNumberError,
				})
			}
		}
	}
	return lines
}

func learnLines(e *engine.Engine, lines []line) {
	for i := range lines {
		l := &lines[i]
		e.LearnLog(l.trace, l.span, l.template, l.grave)
	}
}

// messageKeys is where structured records keep their text.
var messageKeys = [...]string{"message", "msg", "body", "log"}

// message returns the text of a record: its body, or the field of it that is the message; "" for none.
func message(body pcommon.Value) string {
	switch body.Type() {
	case pcommon.ValueTypeStr:
		text := body.Str()
		if strings.HasPrefix(text, "{") {
			return messageOfJSON(text)
		}
		return text
	case pcommon.ValueTypeMap:
		for _, key := range messageKeys {
			if v, ok := body.Map().Get(key); ok && v.Type() == pcommon.ValueTypeStr {
				return v.Str()
			}
		}
	}
	return ""
}

// messageOfJSON finds the message of an object without parsing it: templates need its first words only. Where there
// is none all of it is the text.
func messageOfJSON(text string) string {
	for _, key := range messageKeys {
		_, rest, ok := strings.Cut(text, `"`+key+`"`)
		if !ok {
			continue
		}
		if rest, ok = strings.CutPrefix(strings.TrimLeft(rest, " \t"), ":"); !ok {
			continue
		}
		if rest, ok = strings.CutPrefix(strings.TrimLeft(rest, " \t"), `"`); !ok {
			continue
		}
		for i := 0; i < len(rest); i++ {
			switch rest[i] {
			case '\\':
				i++
			case '"':
				return rest[:i]
			}
		}
	}
	return text
}
