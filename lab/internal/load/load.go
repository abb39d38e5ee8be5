// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package load sends customers' requests at the shop in an open loop: arrivals
// follow a seeded Poisson process and never wait for answers.
package load

import (
	"context"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// patience is how long a customer waits.
const patience = 10 * time.Second

// Request is one customer's wish.
type Request struct {
	Method, Path, Body string
}

// Mix draws requests: share of checkouts, the rest browsing.
type Mix struct {
	Checkouts       float64
	Accounts, Items int
}

// Draw returns the next request.
func (m Mix) Draw(r *rand.Rand) Request {
	item := r.IntN(m.Items)
	if r.Float64() < m.Checkouts {
		return Request{http.MethodPost, "/checkout", fmt.Sprintf(`{"account":%d,"item":%d}`, r.IntN(m.Accounts), item)}
	}
	return Request{http.MethodGet, fmt.Sprintf("/products/%d", item), ""}
}

// Gap returns the time to the next arrival at rate per second.
func Gap(r *rand.Rand, rate float64) time.Duration {
	return time.Duration(r.ExpFloat64() / rate * float64(time.Second))
}

// Generator sends requests until its context ends.
type Generator struct {
	URL    string // without a trailing slash
	Rate   float64
	Mix    Mix
	Seed   uint64
	Client *http.Client

	factor           atomic.Uint64 // bits of a float64; 0 means 1
	requests, failed atomic.Int64
}

// SetFactor multiplies the rate from the next arrival on.
func (g *Generator) SetFactor(f float64) { g.factor.Store(math.Float64bits(f)) }

// Reset forgets the counts so far.
func (g *Generator) Reset() {
	g.requests.Store(0)
	g.failed.Store(0)
}

// Counts returns the requests sent and those of them that failed.
func (g *Generator) Counts() (requests, failed int) {
	return int(g.requests.Load()), int(g.failed.Load())
}

// Run sends until ctx ends, then waits for the answers that are still out.
func (g *Generator) Run(ctx context.Context) {
	r := rand.New(rand.NewPCG(g.Seed, 1))
	var out sync.WaitGroup
	defer out.Wait()
	next := time.Now()
	for {
		rate := g.Rate
		if f := math.Float64frombits(g.factor.Load()); f > 0 {
			rate *= f
		}
		// The next arrival follows the last one's due time, not its sending: an
		// overslept timer must not thin the load.
		next = next.Add(Gap(r, rate))
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(next)):
		}
		req := g.Mix.Draw(r)
		out.Add(1)
		go func() {
			defer out.Done()
			g.send(req)
		}()
	}
}

func (g *Generator) send(r Request) {
	g.requests.Add(1)
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	if !g.ok(ctx, r) {
		g.failed.Add(1)
	}
}

func (g *Generator) ok(ctx context.Context, r Request) bool {
	req, err := http.NewRequestWithContext(ctx, r.Method, g.URL+r.Path, strings.NewReader(r.Body))
	if err != nil {
		return false
	}
	resp, err := g.Client.Do(req)
	if err != nil {
		return false
	}
	defer func() { _ = resp.Body.Close() }()
	_, err = io.Copy(io.Discard, resp.Body)
	return err == nil && resp.StatusCode < 400
}
