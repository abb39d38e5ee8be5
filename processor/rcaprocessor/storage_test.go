// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/open-telemetry/opentelemetry-collector-contrib/extension/storage/storagetest"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"go.opentelemetry.io/otel/sdk/metric/metricdata/metricdatatest"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/metadata"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/metadatatest"
	state "github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/snapshot"
)

// memory is a storage extension whose content outlives its clients, and which fails on demand. It is its one client, too.
type memory struct {
	component.StartFunc
	component.ShutdownFunc

	mu                 sync.Mutex
	content            map[string][]byte
	noClient           error
	fail               func(op, key string) error
	wait               func(context.Context) error // before each Set
	closed, late, sets int
}

func (m *memory) GetClient(_ context.Context, kind component.Kind, id component.ID, name string) (storage.Client, error) {
	if kind != component.KindProcessor || id != component.NewID(metadata.Type) || name != "" {
		return nil, fmt.Errorf("a client for %v %v %q", kind, id, name)
	}
	m.closed = 0
	return m, m.noClient
}

func (m *memory) do(op, key string, f func()) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.closed > 0 {
		m.late++
	}
	if m.fail != nil {
		if err := m.fail(op, key); err != nil {
			return err
		}
	}
	f()
	return nil
}

func (m *memory) Get(_ context.Context, key string) (b []byte, err error) {
	err = m.do("get", key, func() { b = bytes.Clone(m.content[key]) })
	return b, err
}

func (m *memory) Set(ctx context.Context, key string, b []byte) error {
	if m.wait != nil {
		if err := m.wait(ctx); err != nil {
			return err
		}
	}
	return m.do("set", key, func() {
		m.sets++
		m.content[key] = bytes.Clone(b)
	})
}

func (m *memory) Delete(_ context.Context, key string) error {
	return m.do("delete", key, func() { delete(m.content, key) })
}

func (m *memory) Batch(context.Context, ...*storage.Operation) error { return errors.ErrUnsupported }

func (m *memory) Close(context.Context) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.closed++
	return nil
}

// stored says whether there is a whole state.
func (m *memory) stored() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.content[headKey] != nil
}

// chunk returns the key of the only chunk.
func (m *memory) chunk() (chunk string) {
	for key := range m.content {
		if key != headKey {
			chunk = key
		}
	}
	return chunk
}

// host has extensions and hears of status.
type host struct {
	extensions map[component.ID]component.Component
	mu         sync.Mutex
	heard      []componentstatus.Status
}

func (h *host) GetExtensions() map[component.ID]component.Component { return h.extensions }

func (h *host) Report(e *componentstatus.Event) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.heard = append(h.heard, e.Status())
}

func (h *host) statuses() []componentstatus.Status {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]componentstatus.Status(nil), h.heard...)
}

var memoryID = component.MustNewID("memory")

func newMemory() (*memory, *host) {
	m := &memory{content: map[string][]byte{}}
	return m, &host{extensions: map[component.ID]component.Component{memoryID: m}}
}

// startOn starts a rig that keeps its state in extension id of h.
func startOn(t *testing.T, h component.Host, id component.ID, change ...func(*Config)) *rig {
	t.Helper()
	r := newRig(t, 1)
	r.engine.cfg.Storage = &id
	for _, f := range change {
		f(r.engine.cfg)
	}
	r.serial = 1 << 40
	for _, c := range r.components() {
		require.NoError(t, c.Start(t.Context(), h))
	}
	return r
}

func (r *rig) loads(outcome string) {
	r.t.Helper()
	metadatatest.AssertEqualProcessorRcaStateLoads(r.t, r.telemetry, point(1, attribute.String("outcome", outcome)), metricdatatest.IgnoreTimestamp())
}

// With a storage extension that writes files, a restarted processor is ready at once and finds what comes.
func TestWarmRestart(t *testing.T) {
	dir := t.TempDir()
	id := storagetest.NewStorageID("files")
	begin := func() *rig {
		return startOn(t, storagetest.NewStorageHost().WithFileBackedStorageExtension("files", dir), id)
	}
	r := begin()
	r.loads(coldEmpty)
	r.traffic(0, 120, false)
	r.stop()
	files, err := filepath.Glob(filepath.Join(dir, "*"))
	require.NoError(t, err)
	require.Len(t, files, 1)

	r = begin()
	r.loads(loaded)
	metadatatest.AssertEqualProcessorRcaReady(t, r.telemetry, point(1), metricdatatest.IgnoreTimestamp())
	metadatatest.AssertEqualProcessorRcaGraphNodes(t, r.telemetry, point(2), metricdatatest.IgnoreTimestamp())
	r.traffic(300, 305, false)
	r.traffic(305, 325, true)
	require.Len(t, r.engine.core.Open(), 1, "25 s of data are no warm-up")
	assert.Equal(t, "orders", r.engine.core.Open()[0].Verdict.Root)
	r.stop()
}

func TestInMemoryStorage(t *testing.T) {
	r := startOn(t, storagetest.NewStorageHost().WithInMemoryStorageExtension("memory"), storagetest.NewStorageID("memory"))
	r.traffic(0, 5, false)
	r.stop()
}

// An incident goes on over a restart: one id, opened once, resolved once.
func TestRestartInMidIncident(t *testing.T) {
	m, h := newMemory()
	r := startOn(t, h, memoryID)
	now := r.incident()
	r.stop()
	assert.Equal(t, []string{eventOpened}, eventNames(r.records...))
	before, _ := events(r.records[0])

	r = startOn(t, h, memoryID)
	metadatatest.AssertEqualProcessorRcaIncidentsActive(t, r.telemetry, point(1), metricdatatest.IgnoreTimestamp())
	r.traffic(now+20, now+30, true)
	r.traffic(now+30, now+90, false)
	r.stop()
	after, _ := events(r.records[0])
	require.NotEmpty(t, after)
	for _, e := range after {
		assert.Equal(t, before[0].attr[keyIncidentID], e.attr[keyIncidentID])
		assert.NotEqual(t, eventOpened, e.name)
	}
	assert.Equal(t, eventResolved, after[len(after)-1].name)
	assert.Zero(t, m.late)
}

// A storage ID that leads nowhere, or to something else, is refused by its key.
func TestStorageIsRefused(t *testing.T) {
	h := storagetest.NewStorageHost().WithNonStorageExtension("other")
	for id, want := range map[component.ID]string{
		storagetest.NewStorageID("missing"):  `storage: there is no extension "test_storage/missing"`,
		storagetest.NewNonStorageID("other"): `is no storage extension: name one, such as file_storage`,
	} {
		r := newRig(t, 1)
		r.engine.cfg.Storage = &id
		for _, c := range r.components() {
			assert.ErrorContains(t, c.Start(t.Context(), h), want)
		}
		r.stop()
	}
}

// Without the setting nothing is stored, and nothing is said of it.
func TestNoStorage(t *testing.T) {
	r := newRig(t, 1).start()
	r.traffic(0, 2, false)
	r.stop()
	for _, name := range []string{"state_loads", "state_saves"} {
		_, err := r.telemetry.GetMetric("otelcol_processor_rca_" + name)
		assert.Error(t, err, name)
	}
}

// learned is a storage with the state of two minutes in it.
func learned(t *testing.T) (*memory, *host) {
	m, h := newMemory()
	r := startOn(t, h, memoryID)
	r.traffic(0, 100, false)
	r.stop()
	require.True(t, m.stored())
	require.Equal(t, 1, m.closed)
	return m, h
}

// Whatever is amiss with the stored state: the processor starts, cold, says why, and works.
func TestColdStarts(t *testing.T) {
	recoverable := componentstatus.StatusRecoverableError
	for name, tt := range map[string]struct {
		break_  func(*memory)
		config  func(*Config)
		outcome string
		status  []componentstatus.Status
	}{
		"damaged header":  {break_: func(m *memory) { m.content[headKey][20] ^= 1 }, outcome: coldCorrupt, status: []componentstatus.Status{recoverable}},
		"damaged chunk":   {break_: func(m *memory) { m.content[m.chunk()][100] ^= 1 }, outcome: coldCorrupt, status: []componentstatus.Status{recoverable}},
		"foreign":         {break_: func(m *memory) { m.content[headKey] = []byte("something else") }, outcome: coldCorrupt, status: []componentstatus.Status{recoverable}},
		"missing chunk":   {break_: func(m *memory) { delete(m.content, m.chunk()) }, outcome: coldCorrupt, status: []componentstatus.Status{recoverable}},
		"endless chunk":   {break_: func(m *memory) { m.content[m.chunk()] = make([]byte, 1<<22) }, outcome: coldCorrupt, status: []componentstatus.Status{recoverable}},
		"newer version":   {break_: func(m *memory) { m.content[headKey][8]++ }, outcome: coldVersion},
		"other lateness":  {config: func(c *Config) { c.AllowedLateness = 20 * time.Second }, outcome: coldSettings},
		"lower limit":     {config: func(c *Config) { c.Limits.Nodes = 1 }, outcome: coldSettings},
		"larger than may": {config: func(c *Config) { c.Limits.StateBytes = 200 }, outcome: coldSettings},
		"cannot be read": {break_: func(m *memory) {
			m.fail = func(op, _ string) error {
				if op == "get" {
					return errors.New("the disk is gone")
				}
				return nil
			}
		}, outcome: coldStorageError, status: []componentstatus.Status{recoverable}},
		"no client": {break_: func(m *memory) { m.noClient = errors.New("it is locked") }, outcome: coldStorageError, status: []componentstatus.Status{recoverable}},
		"emptied":   {break_: func(m *memory) { clear(m.content) }, outcome: coldEmpty},
	} {
		t.Run(name, func(t *testing.T) {
			m, h := learned(t)
			if tt.break_ != nil {
				tt.break_(m)
			}
			config := []func(*Config){}
			if tt.config != nil {
				config = append(config, tt.config)
			}
			r := startOn(t, h, memoryID, config...)
			r.loads(tt.outcome)
			metadatatest.AssertEqualProcessorRcaReady(t, r.telemetry, point(0), metricdatatest.IgnoreTimestamp())
			assert.Equal(t, tt.status, h.statuses())
			r.traffic(200, 202, false)
			assert.Equal(t, 2*20*3, r.spans.SpanCount())
			r.stop()
		})
	}
}

// Any byte of what is stored may be wrong: the start is cold.
func TestEveryStoredByte(t *testing.T) {
	m, h := newMemory()
	r := startOn(t, h, memoryID)
	r.traffic(0, 12, false)
	r.stop()
	whole := m.content
	require.Len(t, whole, 2)
	step := 1
	if testing.Short() {
		step = 13
	}
	load := func() string {
		cfg := createDefaultConfig().(*Config)
		cfg.Storage = &memoryID
		e, err := newEngine(metadatatest.NewSettings(r.telemetry), cfg)
		require.NoError(t, err)
		defer e.telemetry.shutdown()
		set := cfg.settings()
		s := &stateStore{client: m, fingerprint: set.Fingerprint(), limit: cfg.Limits.StateBytes}
		outcome, err := e.load(t.Context(), s)
		require.Equal(t, outcome == loaded, err == nil)
		return outcome
	}
	require.Equal(t, loaded, load())
	for key, value := range whole {
		for i := 0; i < len(value); i += step {
			m.content = maps.Clone(whole)
			m.content[key] = bytes.Clone(value)
			m.content[key][i] ^= byte(1 + i%255)
			if o := load(); o != coldCorrupt && o != coldVersion {
				t.Fatalf("byte %d of %s: %s", i, key, o)
			}
		}
	}
}

// A save that breaks off anywhere leaves the older state or the newer, whole.
func TestSaveIsAtomic(t *testing.T) {
	payload := func(n byte) []byte { return bytes.Repeat([]byte{n}, 2*chunkBytes+7) }
	for broken := 0; ; broken++ {
		m, _ := newMemory()
		s := &stateStore{client: m, fingerprint: 5, limit: 1 << 30}
		require.NoError(t, s.write(t.Context(), payload(1)))
		require.NoError(t, s.write(t.Context(), payload(2)))
		require.Len(t, m.content, 4, "one generation and the header")
		ops := 0
		m.fail = func(string, string) error {
			if ops++; ops > broken {
				return errors.New("killed")
			}
			return nil
		}
		err := s.write(t.Context(), payload(3))
		m.fail = nil
		s = &stateStore{client: m, fingerprint: 5, limit: 1 << 30}
		got, readErr := s.read(t.Context())
		require.NoError(t, readErr, "broken off after %d", broken)
		if broken < 4 {
			assert.Equal(t, payload(2), got)
		} else {
			assert.Equal(t, payload(3), got)
		}
		require.NoError(t, s.write(t.Context(), payload(4)), "and the next save works")
		if err == nil {
			assert.Equal(t, 7, broken, "three chunks, the header, three chunks deleted")
			return
		}
	}
}

// The state is saved as event time goes on; failures are counted and told, and over with the next success.
func TestPeriodicSave(t *testing.T) {
	m, h := newMemory()
	var broken sync.Once
	m.fail = func(op, _ string) (err error) {
		if op == "set" {
			broken.Do(func() { err = storage.ErrStorageFull })
		}
		return err
	}
	r := startOn(t, h, memoryID, func(c *Config) { c.StorageInterval = 10 * time.Second })
	r.traffic(0, 30, false)
	require.Eventually(t, func() bool { return len(h.statuses()) == 1 }, 10*time.Second, 10*time.Millisecond)
	assert.False(t, m.stored())
	r.traffic(30, 60, false)
	require.Eventually(t, func() bool { return len(h.statuses()) == 2 }, 10*time.Second, 10*time.Millisecond)
	assert.Equal(t, []componentstatus.Status{componentstatus.StatusRecoverableError, componentstatus.StatusOK}, h.statuses())
	assert.True(t, m.stored())
	got, err := r.telemetry.GetMetric("otelcol_processor_rca_state_saves")
	require.NoError(t, err)
	counts := map[string]int64{}
	for _, p := range got.Data.(metricdata.Sum[int64]).DataPoints {
		outcome, _ := p.Attributes.Value("outcome")
		counts[outcome.AsString()] += p.Value
	}
	assert.Equal(t, map[string]int64{saved: 1, unsaved: 1}, counts)
	r.stop()
	assert.Equal(t, 1, m.closed)
	assert.Zero(t, m.late, "the client is not used after it was closed: the extension ends after us")
}

// A slow disk holds neither spans nor the shutdown up.
func TestSlowStorage(t *testing.T) {
	m, h := newMemory()
	waiting := make(chan struct{})
	var first sync.Once
	m.wait = func(ctx context.Context) error {
		first.Do(func() {
			waiting <- struct{}{}
			<-ctx.Done()
		})
		return errors.New("too slow")
	}
	r := startOn(t, h, memoryID, func(c *Config) { c.StorageInterval = 10 * time.Second })
	r.traffic(0, 15, false)
	<-waiting
	r.traffic(15, 40, false)
	assert.Equal(t, 40*20*3, r.spans.SpanCount())
	r.stop()
	assert.False(t, m.stored())
	metadatatest.AssertEqualProcessorRcaStateSaves(t, r.telemetry, point(1, attribute.String("outcome", unsaved)), metricdatatest.IgnoreTimestamp())
}

// Before the first span there is nothing to save: what is stored stays.
func TestNothingLearnedKeepsTheState(t *testing.T) {
	m, h := learned(t)
	before := maps.Clone(m.content)
	m.content[headKey][8]++ // a newer version's
	r := startOn(t, h, memoryID)
	r.stop()
	before[headKey][8] = m.content[headKey][8]
	assert.Equal(t, before, m.content)
}

// What finds no room is counted as beyond its limit.
func TestStateLimit(t *testing.T) {
	m, h := newMemory()
	const limit = 800
	r := startOn(t, h, memoryID, func(c *Config) { c.Limits.StateBytes = limit })
	r.traffic(0, 100, false)
	r.stop()
	header, err := state.DecodeHeader(m.content[headKey])
	require.NoError(t, err)
	assert.LessOrEqual(t, header.Size, uint64(limit))
	assert.Positive(t, r.engine.telemetry.cut)
}

// A defect that a state brings about costs the state: what is learned after it is what the next start gets.
func TestPoisonedEngineIsNotSaved(t *testing.T) {
	_, h := learned(t)
	r := startOn(t, h, memoryID)
	r.engine.mu.Lock()
	r.engine.core = nil
	r.engine.mu.Unlock()
	r.traffic(200, 202, false)
	r.stop()
	r = startOn(t, h, memoryID)
	r.loads(loaded)
	metadatatest.AssertEqualProcessorRcaReady(t, r.telemetry, point(0), metricdatatest.IgnoreTimestamp())
	r.stop()
}
