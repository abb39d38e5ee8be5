// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package shared

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
)

type fake struct {
	starts, shutdowns atomic.Int32
	startErr          error
	shutdownErr       error
}

func (f *fake) Start(context.Context, component.Host) error {
	f.starts.Add(1)
	return f.startErr
}

func (f *fake) Shutdown(context.Context) error {
	f.shutdowns.Add(1)
	return f.shutdownErr
}

type config struct{ _ int }

type testMap = Map[*config, *fake]

func get(t *testing.T, m *testMap, key *config, f *fake) *Ref[*fake] {
	t.Helper()
	r, err := m.GetOrCreate(key, func() (*fake, error) { return f, nil })
	require.NoError(t, err)
	return r
}

func start(r *Ref[*fake]) error { return r.Start(context.Background(), componenttest.NewNopHost()) }

func TestOneEnginePerKey(t *testing.T) {
	var m testMap
	a, b := &config{}, &config{}
	first := get(t, &m, a, &fake{})
	second := get(t, &m, a, &fake{})
	other := get(t, &m, b, &fake{})
	assert.Same(t, first.Value(), second.Value())
	assert.NotSame(t, first.Value(), other.Value())
}

func TestStartsOnceAndEndsWithTheLast(t *testing.T) {
	var m testMap
	key, f := &config{}, &fake{}
	traces, logs := get(t, &m, key, f), get(t, &m, key, nil)

	require.NoError(t, start(traces))
	require.NoError(t, start(logs))
	assert.EqualValues(t, 1, f.starts.Load())

	require.NoError(t, traces.Shutdown(context.Background()))
	require.NoError(t, traces.Shutdown(context.Background()), "twice on one reference")
	assert.EqualValues(t, 0, f.shutdowns.Load(), "logs still flow")
	require.NoError(t, logs.Shutdown(context.Background()))
	require.NoError(t, logs.Shutdown(context.Background()))
	assert.EqualValues(t, 1, f.shutdowns.Load())
	assert.Empty(t, m.entries)
}

func TestShutdownWithoutStart(t *testing.T) {
	var m testMap
	f := &fake{}
	r := get(t, &m, &config{}, f)
	require.NoError(t, r.Shutdown(context.Background()))
	assert.EqualValues(t, 0, f.starts.Load())
	assert.EqualValues(t, 1, f.shutdowns.Load(), "what its creation took has to be given back")
	require.ErrorIs(t, start(r), errStartAfterShutdown)
	assert.EqualValues(t, 0, f.starts.Load())
}

func TestShutdownOfOneBeforeTheOtherStarts(t *testing.T) {
	var m testMap
	key, f := &config{}, &fake{}
	traces, logs := get(t, &m, key, f), get(t, &m, key, nil)
	require.NoError(t, start(traces))
	require.NoError(t, traces.Shutdown(context.Background()))
	require.NoError(t, start(logs))
	assert.EqualValues(t, 1, f.starts.Load())
	assert.EqualValues(t, 0, f.shutdowns.Load())
	require.NoError(t, logs.Shutdown(context.Background()))
	assert.EqualValues(t, 1, f.shutdowns.Load())
}

func TestSameKeyAfterTheEndIsANewEngine(t *testing.T) {
	var m testMap
	key, old, fresh := &config{}, &fake{}, &fake{}
	require.NoError(t, get(t, &m, key, old).Shutdown(context.Background()))
	r := get(t, &m, key, fresh)
	assert.Same(t, fresh, r.Value())
	require.NoError(t, start(r))
	assert.EqualValues(t, 1, fresh.starts.Load())
	assert.EqualValues(t, 0, old.starts.Load())
}

func TestErrorsReachEveryReference(t *testing.T) {
	boom := errors.New("boom")
	var m testMap
	key := &config{}

	_, err := m.GetOrCreate(key, func() (*fake, error) { return nil, boom })
	require.ErrorIs(t, err, boom)
	assert.Empty(t, m.entries)

	f := &fake{startErr: boom, shutdownErr: boom}
	traces, logs := get(t, &m, key, f), get(t, &m, key, nil)
	require.ErrorIs(t, start(traces), boom)
	require.ErrorIs(t, start(logs), boom)
	assert.EqualValues(t, 1, f.starts.Load())
	require.NoError(t, traces.Shutdown(context.Background()))
	require.ErrorIs(t, logs.Shutdown(context.Background()), boom)
}

func TestConcurrentUse(t *testing.T) {
	var m testMap
	key := &config{}
	var engines sync.Map
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			for range 50 {
				r, err := m.GetOrCreate(key, func() (*fake, error) { return &fake{}, nil })
				if !assert.NoError(t, err) {
					return
				}
				engines.Store(r.Value(), true)
				assert.NoError(t, start(r))
				assert.EqualValues(t, 0, r.Value().shutdowns.Load(), "ended under a live reference")
				assert.NoError(t, r.Shutdown(context.Background()))
			}
		})
	}
	wg.Wait()
	assert.Empty(t, m.entries)
	engines.Range(func(k, _ any) bool {
		assert.EqualValues(t, 1, k.(*fake).starts.Load())
		assert.EqualValues(t, 1, k.(*fake).shutdowns.Load())
		return true
	})
}
