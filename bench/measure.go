// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"runtime/pprof"
	"syscall"
	"time"

	"go.opentelemetry.io/collector/component/componenttest"
)

const (
	// speed is about how many times faster than they happened spans are fed.
	speed = 25
	// heldEditions is how many times a second's spans are fed to see what is held of them.
	heldEditions = 10
)

// cost is what one span costs.
type cost struct {
	ns     float64 // CPU time, all of the process: garbage collection and background work included
	allocs float64
	held   float64 // bytes
}

// measure runs a candidate once: for its time on the given number of seconds of event time, and again,
// made anew, for what it holds.
func measure(c *candidate, p *pool, seconds int) (cost, error) {
	result, err := spend(c, p, seconds)
	if err == nil {
		result.held, err = hold(c, p)
	}
	if err != nil {
		return cost{}, fmt.Errorf("%s: %w", c.name, err)
	}
	return result, nil
}

// spend measures CPU time and allocations. The shutdown counts, so that no work is left undone.
func spend(c *candidate, p *pool, seconds int) (cost, error) {
	ctx := context.Background()
	b := newBuild(speed)
	under, err := start(c, b)
	if err != nil {
		return cost{}, err
	}
	runtime.GC()
	m := meter{labels: pprof.WithLabels(ctx, pprof.Labels("component", c.name))}
	for second := range seconds {
		p.move(second, second)
		err = errors.Join(err, m.run(func() error { return feed(ctx, under, p) }))
	}
	err = errors.Join(err, b.verify(c.checks, seconds*p.traces))
	err = errors.Join(err, m.run(func() error { return under.Shutdown(ctx) }))
	spans := float64(seconds * p.spans)
	return cost{ns: float64(m.cpu.Nanoseconds()) / spans, allocs: float64(m.mallocs) / spans}, err
}

// hold measures the bytes that stay for a span which is too young to be let go: all spans ended in the
// same second, so nothing is due.
func hold(c *candidate, p *pool) (bytes float64, err error) {
	ctx := context.Background()
	p.move(0, 0)
	b := newBuild(1)
	under, err := start(c, b)
	if err != nil {
		return 0, err
	}
	before := liveHeap() // what is there for no spans at all is not held for spans
	for edition := range heldEditions {
		p.move(0, edition)
		err = errors.Join(err, feed(ctx, under, p))
	}
	p.move(0, 0)
	after := liveHeap()
	err = errors.Join(err, under.Shutdown(ctx))
	runtime.KeepAlive(b)
	return (after - before) / float64(heldEditions*p.spans), err
}

func start(c *candidate, b *build) (pipeline, error) {
	under, err := c.build(b)
	if err != nil {
		return nil, err
	}
	return under, under.Start(context.Background(), componenttest.NewNopHost())
}

func feed(ctx context.Context, under pipeline, p *pool) error {
	for _, td := range p.batches {
		if err := under.ConsumeTraces(ctx, td); err != nil {
			return err
		}
	}
	return nil
}

// meter adds up what stretches of work cost.
type meter struct {
	cpu     time.Duration
	mallocs uint64
	labels  context.Context // of a CPU profile
}

func (m *meter) run(work func() error) error {
	var before, after runtime.MemStats
	pprof.SetGoroutineLabels(m.labels)
	runtime.ReadMemStats(&before)
	from := cpuTime()
	err := work()
	m.cpu += cpuTime() - from
	runtime.ReadMemStats(&after)
	pprof.SetGoroutineLabels(context.Background())
	m.mallocs += after.Mallocs - before.Mallocs
	return err
}

// cpuTime is what the process has used so far, in user and system mode.
func cpuTime() time.Duration {
	var ru syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &ru); err != nil {
		panic("getrusage: " + err.Error()) // RUSAGE_SELF is always valid
	}
	return time.Duration(ru.Utime.Nano() + ru.Stime.Nano())
}

// liveHeap is what is reachable. The second collection empties what sync.Pool kept through the first.
func liveHeap() float64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}
