// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package simulate

import (
	"encoding/binary"
	"hash/fnv"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/pdata/plog"
	"go.opentelemetry.io/collector/pdata/ptrace"
	"go.opentelemetry.io/collector/pipeline"

	"github.com/firebreak-otel/firebreak/internal/call"
)

const scenarios = "../../testdata/scenarios/"

// write puts a scenario into a file of its own, beside a copy of the base.
func write(t testing.TB, text string) string {
	t.Helper()
	dir := t.TempDir()
	base, err := os.ReadFile(scenarios + "base.yaml")
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "base.yaml"), base, 0o600))
	path := filepath.Join(dir, "scenario.yaml")
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// shop is the base with something laid over it.
func shop(t testing.TB, over string) *Scenario {
	t.Helper()
	text := "base: base.yaml\nname: test\nduration: 60s\n" + over
	if !strings.Contains(over, "truth:") {
		text += "\ntruth: {silent: true}\n"
	}
	sc, err := Load(write(t, text))
	require.NoError(t, err)
	return sc
}

func start(t testing.TB, sc *Scenario, ax Axes, seed uint64) *Simulation {
	t.Helper()
	s, err := New(sc, ax, seed)
	require.NoError(t, err)
	return s
}

// tally is what was seen of one operation of one node, at or after time zero.
type tally struct {
	n, bad int
	took   []int64
	codes  map[string]int
}

func (m *tally) median() int64 {
	if len(m.took) == 0 {
		return 0
	}
	slices.Sort(m.took)
	return m.took[len(m.took)/2]
}

func (m *tally) share() float64 { return float64(m.bad) / float64(max(1, m.n)) }

// seen is what a run emitted.
type seen struct {
	by      map[string]*tally // "service side operation", "service > peer operation"
	logs    map[string]int    // "service LEVEL"
	skipped [call.NumSkips]int
	early   uint64 // hash of all that arrived before time zero
	all     uint64
	weight  float64 // of entry spans
	spans   int
	counts  Counts
}

func (s *seen) get(key string) *tally {
	if m := s.by[key]; m != nil {
		return m
	}
	return &tally{}
}

// watch plays a simulation to its end.
func watch(t testing.TB, s *Simulation) *seen {
	t.Helper()
	out := &seen{by: map[string]*tally{}, logs: map[string]int{}}
	early, all := fnv.New64a(), fnv.New64a()
	var b call.Batch
	var pt ptrace.ProtoMarshaler
	var pl plog.ProtoMarshaler
	for batch := range s.Batches() {
		var data []byte
		var err error
		if batch.Signal == pipeline.SignalTraces {
			data, err = pt.MarshalTraces(batch.Traces)
		} else {
			data, err = pl.MarshalLogs(batch.Logs)
			for _, rl := range batch.Logs.ResourceLogs().All() {
				name, _ := rl.Resource().Attributes().Get("service.name")
				for _, lr := range rl.ScopeLogs().At(0).LogRecords().All() {
					if int64(lr.Timestamp()) >= s.Zero() {
						out.logs[name.Str()+" "+lr.SeverityText()]++
					}
				}
			}
		}
		require.NoError(t, err)
		var at [8]byte
		binary.BigEndian.PutUint64(at[:], uint64(batch.Arrival))
		_, _ = all.Write(append(at[:], data...))
		if int64(batch.Arrival) < s.Zero() {
			_, _ = early.Write(append(at[:], data...))
		}
		if batch.Signal != pipeline.SignalTraces {
			continue
		}
		b.Read(batch.Traces)
		for i, n := range b.Skipped {
			out.skipped[i] += n
		}
		out.spans += len(b.Calls)
		for i := range b.Calls {
			c := &b.Calls[i]
			if !c.HasParent && c.Role == call.RoleServer {
				out.weight += c.Weight
			}
			if c.Start < s.Zero() {
				continue
			}
			key := b.Resources[c.Resource].Service + " "
			if c.Role.Outgoing() {
				key += "> " + c.Peer.String() + " "
			}
			key += c.Operation.String()
			m := out.by[key]
			if m == nil {
				m = &tally{codes: map[string]int{}}
				out.by[key] = m
			}
			m.n++
			m.took = append(m.took, c.Duration())
			if c.Outcome.Bad() {
				m.bad++
			}
			m.codes[c.ErrorType]++
		}
	}
	out.early, out.all, out.counts = early.Sum64(), all.Sum64(), s.Counts()
	return out
}

func run(t testing.TB, over string) *seen {
	t.Helper()
	return watch(t, start(t, shop(t, over), Axes{Logs: true, Warmup: 20 * time.Second}, 1))
}
