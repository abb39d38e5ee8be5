// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor // import "github.com/firebreak-otel/firebreak/processor/rcaprocessor"

import (
	"encoding/binary"
	"math"
	"slices"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"

	"github.com/firebreak-otel/firebreak/internal/call"
	"github.com/firebreak-otel/firebreak/internal/trace"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/contrast"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/engine"
)

// readLines appends what there is to learn of records that say something.
func readLines(ld plog.Logs, lines []engine.LogLine) []engine.LogLine {
	for _, rl := range ld.ResourceLogs().All() {
		resource := call.ReadResource(rl.Resource().Attributes())
		source, replica := resource.Key(), engine.ReplicaKey(&resource)
		for _, sl := range rl.ScopeLogs().All() {
			for _, lr := range sl.LogRecords().All() {
				text, event, exception := message(lr.Body()), lr.EventName(), call.ExceptionType(lr.Attributes())
				if text == "" && event == "" && exception == "" {
					continue
				}
				at := lr.Timestamp()
				if at == 0 {
					at = lr.ObservedTimestamp()
				}
				id := lr.SpanID()
				lines = append(lines, engine.LogLine{
					Trace: trace.ID(lr.TraceID()), Span: binary.BigEndian.Uint64(id[:]), At: int64(min(at, math.MaxInt64)),
					Template: contrast.TemplateWith(event, exception, text), Source: source, Replica: replica, Grave: grave(lr),
				})
			}
		}
	}
	return lines
}

func learnLines(e *engine.Engine, lines []engine.LogLine) {
	for i := range lines {
		e.LearnLog(&lines[i])
	}
}

// grave says that a record is of severity error or worse, by its number, else by its text.
func grave(lr plog.LogRecord) bool {
	if n := lr.SeverityNumber(); n != plog.SeverityNumberUnspecified {
		return n >= plog.SeverityNumberError
	}
	text := lr.SeverityText()
	for _, word := range [...]string{"err", "fatal", "crit", "severe", "panic", "alert", "emerg"} {
		if len(text) >= len(word) && strings.EqualFold(text[:len(word)], word) {
			return true
		}
	}
	return false
}

// messageKeys is where structured records keep their text, the likeliest first.
var messageKeys = [...]string{"message", "msg", "body", "log", "MESSAGE", "short_message", "event"}

// jsonBytes is how far an object is read for its message.
const jsonBytes = 4096

// message returns the text of a record: its body, or the field of it that is the message; "" for none.
func message(body pcommon.Value) string {
	switch body.Type() {
	case pcommon.ValueTypeStr:
		text := body.Str()
		if strings.HasPrefix(strings.TrimLeft(text[:min(len(text), 16)], " \t\r\n"), "{") {
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

// messageOfJSON finds the message of an object, as it is written, without making anything of the rest: a walk over the
// keys of the object itself. Where there is none all of it is the text.
func messageOfJSON(text string) string {
	found, best := text, len(messageKeys)
	key, depth := "", 0 // the key before the string at hand
	for i := 0; i < min(len(text), jsonBytes) && best > 0; i++ {
		switch text[i] {
		case '{', '[':
			depth++
			key = ""
		case '}', ']':
			depth--
			key = ""
		case ',':
			key = ""
		case '"':
			from := i + 1
			if i = endOfString(text, from); i == len(text) {
				return found
			}
			if depth != 1 {
				continue
			}
			if s := text[from:i]; key == "" {
				key = s
			} else if k := slices.Index(messageKeys[:best], key); k >= 0 {
				found, best = s, k
			}
		}
	}
	return found
}

// endOfString returns where the quote is that ends a string, the text's length where there is none.
func endOfString(text string, from int) int {
	for i := from; i < len(text); i++ {
		switch text[i] {
		case '\\':
			i++
		case '"':
			return i
		}
	}
	return len(text)
}
