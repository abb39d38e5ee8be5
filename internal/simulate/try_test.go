// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"go.opentelemetry.io/collector/pipeline"

"github.com/firebreak-otel/firebreak/internal/call"
)

func TestTry(t *testing.T) {
	files, _ := filepath.Glob("../../testdata/scenarios/[0-9]*.yaml")
	for _, f := range files {
		sc, err := Load(f)
		if err != nil {
			t.Fatal(err)
		}
		for _, rate := range []float64{20} {
			s, err := New(sc, Axes{Rate: rate, Logs: true, Warmup: time.Minute}, 1)
			if err != nil {
				t.Fatal(err)
			}
			var b call.Batch
			n, skipped := 0, [call.NumSkips]int{}
			start := time.Now()
			var fail, all [40]int
			for batch := range s.Batches() {
				if batch.Signal == pipeline.SignalTraces {
					b.Read(batch.Traces)
					for i := range b.Calls {
						c := &b.Calls[i]
						k := min(39, max(0, int((c.End-s.Zero())/10e9)+6))
						if !c.HasParent && c.Role == call.RoleServer {
							all[k]++
							if c.Outcome.Bad() {
								fail[k]++
							}
						}
					}
					n += len(b.Calls)
					for i := range skipped {
						skipped[i] += b.Skipped[i]
					}
				}
			}
			fmt.Printf("%s %v: %+v calls %d skipped %v %v\n", sc.Name, rate, s.Counts(), n, skipped, time.Since(start))
			for k := range all {
				if all[k] > 0 {
					fmt.Printf(" %d/%d", fail[k], all[k])
				}
			}
			fmt.Println()
		}
	}
}
