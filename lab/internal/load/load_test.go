// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package load

import (
	"context"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
)

var mix = Mix{Checkouts: 0.6, Accounts: 1000, Items: 100}

func TestSameSeedSameLoad(t *testing.T) {
	draw := func(seed uint64) (out []any) {
		r := rand.New(rand.NewPCG(seed, 1))
		for range 100 {
			out = append(out, Gap(r, 20), mix.Draw(r))
		}
		return out
	}
	assert.Equal(t, draw(1), draw(1))
	assert.NotEqual(t, draw(1), draw(2))
}

func TestGapsArePoisson(t *testing.T) {
	const n, rate = 100_000, 20.0
	r := rand.New(rand.NewPCG(1, 1))
	var sum, squares float64
	for range n {
		g := Gap(r, rate).Seconds()
		sum += g
		squares += g * g
	}
	mean := sum / n
	assert.InEpsilon(t, 1/rate, mean, 0.02)
	assert.InEpsilon(t, 1/rate, math.Sqrt(squares/n-mean*mean), 0.02, "an exponential's deviation is its mean")
}

func TestMixHoldsItsShare(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	checkouts := 0
	for range 10_000 {
		if mix.Draw(r).Path == "/checkout" {
			checkouts++
		}
	}
	assert.InDelta(t, 6000, checkouts, 200)
}

// transport answers in the bubble of synctest, without a network.
type transport func(*http.Request) (*http.Response, error)

func (f transport) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// Arrivals do not wait for answers: with a backend that takes 2 s, the requests
// of one second are all on their way before the first answer is there.
func TestOpenLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sent atomic.Int64
		g := &Generator{URL: "http://shop.example", Rate: 100, Mix: mix, Seed: 1, Client: &http.Client{
			Transport: transport(func(*http.Request) (*http.Response, error) {
				sent.Add(1)
				time.Sleep(2 * time.Second)
				return httptest.NewRecorder().Result(), nil
			}),
		}}
		arrivals := func(d time.Duration) int64 {
			before := sent.Load()
			time.Sleep(d)
			return sent.Load() - before
		}
		ctx, stop := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { g.Run(ctx); close(done) }()
		assert.InDelta(t, 100, arrivals(time.Second), 30)
		g.SetFactor(4)
		assert.InDelta(t, 400, arrivals(time.Second), 60)
		g.SetFactor(1)
		assert.InDelta(t, 100, arrivals(time.Second), 30)
		stop()
		<-done
		requests, failed := g.Counts()
		assert.Equal(t, []int64{sent.Load(), 0}, []int64{int64(requests), int64(failed)})
	})
}

func TestFailuresAreCounted(t *testing.T) {
	for name, tt := range map[string]struct {
		status, failed int
	}{"ok": {201, 0}, "client error": {429, 1}, "server error": {502, 1}} {
		t.Run(name, func(t *testing.T) {
			s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(tt.status) }))
			defer s.Close()
			g := &Generator{URL: s.URL, Client: s.Client()}
			g.send(Request{Method: http.MethodGet, Path: "/"})
			requests, failed := g.Counts()
			assert.Equal(t, []int{1, tt.failed}, []int{requests, failed})
			g.Reset()
			requests, failed = g.Counts()
			assert.Equal(t, []int{0, 0}, []int{requests, failed})
		})
	}
}
