// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"io"
	"time"
)

// progress says now and then how far a long replay is.
type progress struct {
	w           io.Writer
	every       time.Duration
	sent, total int
	begin, said time.Time
}

func newProgress(w io.Writer, total int, every time.Duration) *progress {
	now := time.Now()
	fmt.Fprintf(w, "Replaying %s spans and log records ...\n", count(total))
	return &progress{w: w, every: every, total: total, begin: now, said: now}
}

func (p *progress) add(n int) {
	p.sent += n
	if now := time.Now(); now.Sub(p.said) >= p.every {
		p.said = now
		fmt.Fprintf(p.w, "  %3d %%  %s sent, %s\n", p.sent*100/max(p.total, 1), count(p.sent), seconds(now.Sub(p.begin)))
	}
}

func (p *progress) done() {
	fmt.Fprintf(p.w, "  100 %%  %s sent, %s\n", count(p.sent), seconds(time.Since(p.begin)))
}
