// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package keys

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
)

func TestCheck(t *testing.T) {
	table := []Key{
		{Name: "x.name", In: Spans | Events, Type: String},
		{Name: "x.names", In: Events, Type: Strings},
		{Name: "x.scores", In: Events, Type: Doubles},
		{Name: "x.count", In: Events, Type: Int},
	}
	for _, tt := range []struct {
		name  string
		at    Place
		attr  map[string]any
		wrong string
	}{
		{"as it is said", Events, map[string]any{"x.name": "a", "x.names": []any{"a", "b"}, "x.scores": []any{0.5}, "x.count": 1}, ""},
		{"an empty array", Events, map[string]any{"x.names": []any{}}, ""},
		{"of somebody else", Spans, map[string]any{"y.name": true}, ""},
		{"unknown", Spans, map[string]any{"x.other": "a"}, "x.other is not in the table"},
		{"elsewhere", Logs, map[string]any{"x.name": "a"}, "x.name is said to be on spans, event records only"},
		{"of another type", Spans, map[string]any{"x.name": 1}, "x.name is said to be a string, and is a Int"},
		{"no array", Events, map[string]any{"x.names": "a"}, "x.names is said to be a string[], and is a Str"},
		{"of other elements", Events, map[string]any{"x.scores": []any{0.5, "a"}}, "x.scores is said to be a double[], and is a Slice"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			m := pcommon.NewMap()
			require.NoError(t, m.FromRaw(tt.attr))
			wrong := Check(table, "x.", tt.at, m)
			if tt.wrong == "" {
				assert.Empty(t, wrong)
				return
			}
			assert.Equal(t, []string{tt.wrong}, wrong)
		})
	}
}
