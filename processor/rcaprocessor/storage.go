// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package rcaprocessor // import "github.com/firebreak-otel/firebreak/processor/rcaprocessor"

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/extension/xextension/storage"
	"go.uber.org/zap"

	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/engine"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/incident"
	state "github.com/firebreak-otel/firebreak/processor/rcaprocessor/internal/snapshot"
)

// How a start with a storage extension went.
const (
	loaded           = "loaded"
	coldEmpty        = "cold_empty"         // there was nothing
	coldCorrupt      = "cold_corrupt"       // what was there is damaged, or not ours
	coldVersion      = "cold_version"       // it has a form that this build does not read
	coldSettings     = "cold_settings"      // it does not fit the configuration
	coldStorageError = "cold_storage_error" // the storage did not answer
)

// How saving went.
const (
	saved   = "saved"
	unsaved = "failed"
)

const (
	// headKey holds the header. It is written last: what it names is whole.
	headKey = "state"
	// chunkBytes is the most that one value of the storage holds.
	chunkBytes = 1 << 20
	// breath is the least wall time between two saves: a replay runs through event time fast.
	breath = time.Second
)

// chunkKey is where chunk i of a generation is: two take turns, so that one is always whole.
func chunkKey(generation uint8, i uint32) string { return fmt.Sprintf("state.%d.%d", generation, i) }

// stateStore keeps an engine's state in a storage extension.
type stateStore struct {
	client      storage.Client
	host        component.Host
	fingerprint uint64
	limit       int
	last        state.Header // of what was loaded or saved last
	troubled    bool         // the host was told so
	due         chan struct{}
	savedAt     int64 // head when it was due last; guarded by rcaEngine.mu
}

// openState finds the storage extension and takes up what it holds. Only a name that leads to no storage extension
// is an error: with any other trouble the engine starts cold, and says so.
func (e *rcaEngine) openState(ctx context.Context, host component.Host) error {
	if e.cfg.Storage == nil {
		return nil
	}
	ext, ok := host.GetExtensions()[*e.cfg.Storage]
	if !ok {
		return fmt.Errorf("storage: there is no extension %q: name one of service::extensions", e.cfg.Storage)
	}
	provider, ok := ext.(storage.Extension)
	if !ok {
		return fmt.Errorf("storage: extension %q is no storage extension: name one, such as file_storage", e.cfg.Storage)
	}
	set := e.cfg.settings()
	s := &stateStore{host: host, fingerprint: set.Fingerprint(), limit: e.cfg.Limits.StateBytes, due: make(chan struct{}, 1)}
	client, err := provider.GetClient(ctx, component.KindProcessor, e.id, "")
	if err != nil {
		e.started(s, coldStorageError, fmt.Errorf("the storage gives no client, nothing will be saved: %w", err))
		return nil
	}
	s.client, e.state = client, s
	outcome, err := e.load(ctx, s)
	e.started(s, outcome, err)
	return nil
}

// started says how the start went.
func (e *rcaEngine) started(s *stateStore, outcome string, err error) {
	e.telemetry.stateLoaded(outcome)
	switch outcome {
	case loaded:
		size, _ := e.core.Size()
		e.logger.Info("Going on with the state of an earlier run", zap.Time("as_of", time.Unix(0, e.core.Head())),
			zap.Int("nodes", size.Nodes), zap.Int("operations", size.Ops), zap.Bool("ready", e.core.Ready()))
	case coldEmpty:
		e.logger.Info("There is no state of an earlier run: starting cold", zap.Stringer("storage", e.cfg.Storage))
	default:
		e.logger.Warn("The state of an earlier run is of no use: starting cold", zap.String("outcome", outcome), zap.Error(err))
	}
	if outcome == coldCorrupt || outcome == coldStorageError {
		s.report(err)
	}
}

// report tells the host of trouble, or that it is over.
func (s *stateStore) report(err error) {
	switch {
	case err != nil:
		s.troubled = true
		componentstatus.ReportStatus(s.host, componentstatus.NewRecoverableErrorEvent(err))
	case s.troubled:
		s.troubled = false
		componentstatus.ReportStatus(s.host, componentstatus.NewEvent(componentstatus.StatusOK))
	}
}

// load puts an engine in place that goes on where the saved one left off.
func (e *rcaEngine) load(ctx context.Context, s *stateStore) (outcome string, err error) {
	payload, err := s.read(ctx)
	if err != nil {
		return outcomeOf(err), err
	}
	if payload == nil {
		return coldEmpty, nil
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	e.turn = time.Now()
	var core *engine.Engine
	if !e.contain(func() { core, err = engine.Restore(e.cfg.settings(), payload, e.keep) }) {
		return coldCorrupt, state.ErrCorrupt
	}
	if err != nil {
		return outcomeOf(err), err
	}
	e.core, s.savedAt = core, core.Head()
	e.telemetry.observe(core, nil, &e.seen, e.turn)
	return loaded, nil
}

func outcomeOf(err error) string {
	switch {
	case errors.Is(err, state.ErrCorrupt):
		return coldCorrupt
	case errors.Is(err, state.ErrVersion):
		return coldVersion
	case errors.Is(err, state.ErrSettings):
		return coldSettings
	}
	return coldStorageError
}

// read returns the payload that the storage holds; nil for none.
func (s *stateStore) read(ctx context.Context) ([]byte, error) {
	b, err := s.client.Get(ctx, headKey)
	if err != nil || b == nil {
		return nil, err
	}
	h, err := state.DecodeHeader(b)
	if err != nil {
		return nil, err
	}
	if h.Generation > 1 || chunks(h.Size) != uint64(h.Chunks) {
		return nil, fmt.Errorf("%w: its header does not add up", state.ErrCorrupt)
	}
	s.last = h
	switch {
	case h.Fingerprint != s.fingerprint:
		return nil, fmt.Errorf("%w: allowed_lateness or trace_quiet was changed, or this build counts otherwise", state.ErrSettings)
	case h.Size > uint64(s.limit):
		return nil, fmt.Errorf("%w: it has %d bytes, and limits::state_bytes is %d", state.ErrSettings, h.Size, s.limit)
	}
	payload := make([]byte, 0, h.Size)
	for i := range h.Chunks {
		part, err := s.client.Get(ctx, chunkKey(h.Generation, i))
		if err != nil {
			return nil, err
		}
		if len(part) > chunkBytes || len(payload)+len(part) > int(h.Size) {
			return nil, fmt.Errorf("%w: chunk %d is too long", state.ErrCorrupt, i)
		}
		payload = append(payload, part...)
	}
	return payload, h.Check(payload)
}

func chunks(size uint64) uint64 { return size/chunkBytes + min(1, size%chunkBytes) }

// write stores a payload beside the one that is there, then has the header name it, then deletes the other.
func (s *stateStore) write(ctx context.Context, payload []byte) error {
	old := s.last
	h := state.Header{
		Generation: 1 - old.Generation, Size: uint64(len(payload)), Chunks: uint32(chunks(uint64(len(payload)))),
		Fingerprint: s.fingerprint, Sum: state.Sum(payload),
	}
	for i := range h.Chunks {
		part := payload[int(i)*chunkBytes : min(int(i+1)*chunkBytes, len(payload))]
		if err := s.client.Set(ctx, chunkKey(h.Generation, i), part); err != nil {
			return err
		}
	}
	if err := s.client.Set(ctx, headKey, h.Encode()); err != nil {
		return err
	}
	s.last = h
	for i := range old.Chunks {
		if err := s.client.Delete(ctx, chunkKey(old.Generation, i)); err != nil {
			return err
		}
	}
	return nil
}

// keep notes a change of an incident, to be delivered.
func (e *rcaEngine) keep(in incident.Incident) { e.pending = append(e.pending, in) }

// mayBeDue has the state saved when event time has moved on by so much. The lock must be held; it does not wait.
func (e *rcaEngine) mayBeDue() {
	s := e.state
	if s == nil {
		return
	}
	head := e.core.Head()
	if s.savedAt == 0 {
		s.savedAt = head
	}
	if d := head - s.savedAt; max(d, -d) < e.cfg.StorageInterval.Nanoseconds() {
		return
	}
	s.savedAt = head
	select {
	case s.due <- struct{}{}:
	default: // one waits already
	}
}

// saveWhenDue saves in the background until the engine stops.
func (e *rcaEngine) saveWhenDue() {
	defer e.done.Done()
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { // what is half written when the engine stops is given up: the last word follows
		defer cancel()
		select {
		case <-e.stop:
		case <-ctx.Done():
		}
	}()
	rest := time.NewTimer(0)
	defer rest.Stop()
	for {
		select {
		case <-e.stop:
			return
		case <-rest.C:
		}
		select {
		case <-e.stop:
			return
		case <-e.state.due:
		}
		if done, err := e.save(ctx); (done || err != nil) && ctx.Err() == nil {
			e.saved(err)
			e.state.report(err)
		}
		rest.Reset(breath)
	}
}

// save writes down what the engine knows; false when that is nothing. The lock is held while it is turned into bytes,
// not while they are stored.
func (e *rcaEngine) save(ctx context.Context) (done bool, err error) {
	s := e.state
	var payload []byte
	func() {
		e.mu.Lock()
		defer e.mu.Unlock()
		if e.core == nil || e.core.Head() == 0 {
			return // nothing is known yet: what is stored may be more
		}
		var lost int64
		if !e.contain(func() { payload, lost, err = e.core.Snapshot(s.limit, int(s.last.Size)+int(s.last.Size)/8) }) {
			payload, err = nil, errors.New("a defect was contained")
		}
		e.telemetry.stateCut(lost)
	}()
	if err != nil || payload == nil {
		return false, err
	}
	return true, s.write(ctx, payload)
}

// saved says how saving went.
func (e *rcaEngine) saved(err error) {
	if err == nil {
		e.telemetry.stateSaved(saved)
		return
	}
	e.telemetry.stateSaved(unsaved)
	e.logger.Warn("The state was not saved: a restart would begin with an older one, or with none", zap.Error(err))
}

// closeState saves for the last time and lets go of the storage.
func (e *rcaEngine) closeState(ctx context.Context) {
	if e.state == nil {
		return
	}
	if done, err := e.save(ctx); done || err != nil {
		e.saved(err) // no reason to fail a shutdown
	}
	if err := e.state.client.Close(ctx); err != nil {
		e.logger.Warn("The storage client was not closed", zap.Error(err))
	}
	e.state = nil
}
