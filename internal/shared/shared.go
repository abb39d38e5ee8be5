// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package shared gives all pipelines that name one component ID the same engine.
//
// The Collector creates one instance per pipeline, but unmarshals one config per component ID and
// hands the same pointer to each creation. A factory therefore keys a Map by that pointer; every
// instance gets its own Ref to one engine, which starts with the first and ends with the last.
package shared // import "github.com/firebreak-otel/firebreak/internal/shared"

import (
	"context"
	"errors"
	"sync"

	"go.opentelemetry.io/collector/component"
)

var errStartAfterShutdown = errors.New("component started after it was shut down: create a new one from its factory")

// Map holds the live engines by key. The zero value is ready to use, and safe for concurrent use.
type Map[K comparable, V component.Component] struct {
	mu      sync.Mutex
	entries map[K]*entry[V]
}

type entry[V component.Component] struct {
	value V
	refs  int // guarded by Map.mu

	startMu  sync.Mutex
	started  bool
	startErr error
}

// GetOrCreate returns a new reference to the engine of key; create is called when there is none.
// create runs under the map's lock: it must not call the map. Its error leaves the map as it was.
// Each reference has to be shut down for the engine to end.
func (m *Map[K, V]) GetOrCreate(key K, create func() (V, error)) (*Ref[V], error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.entries[key]
	if !ok {
		v, err := create()
		if err != nil {
			return nil, err
		}
		e = &entry[V]{value: v}
		if m.entries == nil {
			m.entries = make(map[K]*entry[V])
		}
		m.entries[key] = e
	}
	e.refs++
	return &Ref[V]{entry: e, release: func() bool { return m.release(key, e) }}, nil
}

// release takes one reference away and reports whether it was the last.
func (m *Map[K, V]) release(key K, e *entry[V]) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	e.refs--
	if e.refs > 0 {
		return false
	}
	delete(m.entries, key)
	return true
}

// Ref is one pipeline's hold on a shared engine. It is a component.Component itself.
type Ref[V component.Component] struct {
	entry   *entry[V]
	release func() bool

	mu     sync.Mutex
	closed bool
}

// Value returns the shared engine.
func (r *Ref[V]) Value() V { return r.entry.value }

// Start starts the engine unless another reference has; all get the error of that one start.
func (r *Ref[V]) Start(ctx context.Context, host component.Host) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errStartAfterShutdown
	}
	e := r.entry
	e.startMu.Lock()
	defer e.startMu.Unlock()
	if !e.started {
		e.started = true
		e.startErr = e.value.Start(ctx, host)
	}
	return e.startErr
}

// Shutdown lets go of the engine; the last reference to do so shuts it down, started or not.
// A second call on the same reference does nothing.
func (r *Ref[V]) Shutdown(ctx context.Context) error {
	r.mu.Lock()
	closed := r.closed
	r.closed = true
	r.mu.Unlock()
	if closed || !r.release() {
		return nil
	}
	return r.entry.value.Shutdown(ctx)
}
