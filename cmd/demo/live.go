// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/firebreak-otel/firebreak/internal/replay"
)

// live replays at the speed of the recording, with its first arrival moved to now.
func live(ctx context.Context, o options, inc *replay.Incident) error {
	var first, last time.Time
	for b := range inc.Batches(replay.Options{}) {
		if first.IsZero() {
			first = b.Arrival.AsTime()
		}
		last = b.Arrival.AsTime()
	}
	if first.IsZero() {
		return errors.New("the recording is empty")
	}
	shift := time.Since(first)
	at := func(t time.Time) string { return t.Add(shift).Local().Format(time.TimeOnly) }
	fmt.Printf("Incident %s: %s\n", inc.Truth.Fault, inc.Truth.Description)
	fmt.Printf("In real time to %s until %s (Ctrl-C ends it).\n", o.endpoint, at(last))
	fmt.Printf("The fault sets in at %s and is healed at %s.\n", at(inc.Truth.Injected), at(inc.Truth.Healed))

	p := newProgress(os.Stdout, inc.SpanCount()+inc.LogCount(), 10*time.Second)
	err := send(ctx, o.endpoint, inc, replay.Options{Shift: shift}, realTime, p)
	if errors.Is(ctx.Err(), context.Canceled) {
		fmt.Println("Ended early.")
		return nil
	}
	if err != nil {
		return fmt.Errorf("replay to %s: %w; is a collector with an OTLP/gRPC receiver running there?", o.endpoint, err)
	}
	return nil
}

// realTime waits until the batch's time of arrival.
func realTime(ctx context.Context, b *replay.Batch) error {
	t := time.NewTimer(time.Until(b.Arrival.AsTime()))
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
