// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"
	"time"

	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
)

// text is an attribute for people, an array with commas; empty when there is none.
func text(a pcommon.Map, key string) string {
	v, ok := a.Get(key)
	if !ok {
		return ""
	}
	if v.Type() == pcommon.ValueTypeSlice {
		return strings.Join(list(a, key), ", ")
	}
	return v.AsString()
}

func list(a pcommon.Map, key string) (out []string) {
	v, ok := a.Get(key)
	if !ok || v.Type() != pcommon.ValueTypeSlice {
		return nil
	}
	for _, e := range v.Slice().All() {
		out = append(out, e.AsString())
	}
	return out
}

func seconds(a pcommon.Map, key string) string {
	v, _ := a.Get(key)
	return fmt.Sprintf("%.1f s", v.Double())
}

// onset is when an incident began that its record says is over.
func onset(lr plog.LogRecord) time.Time {
	v, _ := lr.Attributes().Get("rca.incident.duration")
	return lr.Timestamp().AsTime().Add(-time.Duration(v.Double() * float64(time.Second)))
}

func orNone(s string) string {
	if s == "" {
		return "nothing"
	}
	return s
}
