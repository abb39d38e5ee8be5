// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/metadatatest"
)

// What cannot be used of log records is counted, whatever they look like, and all of them pass on as they came.
func TestLogsThatAreNoEvidence(t *testing.T) {
	r := newRig(t, 1)
	r.start()
	td, _ := answered(explainFrom, 1, "shop", 10*time.Millisecond, pcommon.NewValueEmpty())
	require.NoError(t, r.traces.ConsumeTraces(t.Context(), td))

	sent := 0
	send := func(service string, at time.Time, body string) {
		ld := plog.NewLogs()
		rl := ld.ResourceLogs().AppendEmpty()
		rl.Resource().Attributes().PutStr("service.name", service)
		lr := rl.ScopeLogs().AppendEmpty().LogRecords().AppendEmpty()
		lr.Body().SetStr(body)
		if !at.IsZero() {
			lr.SetTimestamp(pcommon.NewTimestampFromTime(at))
		}
		require.NoError(t, r.logs[0].ConsumeLogs(t.Context(), ld))
		sent++
	}
	send("stranger", explainFrom, "hello")
	send("shop", explainFrom.Add(time.Hour), "hello")
	send("shop", explainFrom.Add(-time.Hour), "hello")
	send("shop", time.Time{}, strings.Repeat("10 MB ", 10<<20/6))
	send("shop", explainFrom, strings.Repeat(`{"a":[`, 1<<20))
	send("shop", explainFrom, `{"message":"`+strings.Repeat(`\`, 1<<20))
	send("shop", explainFrom, "\xff\x00\x1b[")
	for i := range 300 {
		send("shop", explainFrom, fmt.Sprintf("word%c%c only", 'g'+i%20, 'g'+i/20))
	}
	assert.Equal(t, sent, r.records[0].LogRecordCount())

	point := func(key, value string, n int64) metricdata.DataPoint[int64] {
		return metricdata.DataPoint[int64]{Value: n, Attributes: attribute.NewSet(
			attribute.String("processor", "rca"), attribute.String(key, value))}
	}
	metadatatest.AssertEqualProcessorRcaLogsSkipped(t, r.telemetry,
		[]metricdata.DataPoint[int64]{point("reason", "service", 1), point("reason", "time", 2)}, metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualProcessorRcaLimitHits(t, r.telemetry,
		[]metricdata.DataPoint[int64]{point("limit", "log_templates", 300+4-128)}, metricdatatest.IgnoreTimestamp())
	r.stop()
}
