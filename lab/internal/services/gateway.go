// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package services

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/firebreak-otel/firebreak/lab/internal/network"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

const (
	gatewayTries   = 3
	gatewayTimeout = 1500 * time.Millisecond // of one try
)

// gateway is what customers talk to. Its retries are naive on purpose: at once,
// without a budget, which is what turns a slow database into a storm.
type gateway struct {
	*service
	orders, catalog *http.Client
}

func runGateway(ctx context.Context, s *service) error {
	g := &gateway{service: s, orders: s.balanced(network.Orders), catalog: s.balanced(network.Catalog)}
	mux := http.NewServeMux()
	route := func(pattern string, f http.HandlerFunc) { mux.Handle(pattern, otelhttp.NewHandler(f, "gateway")) }
	route("POST /checkout", func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(io.LimitReader(r.Body, 4096))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		g.forward(w, r, g.orders, "http://"+network.Orders+":"+network.HTTPPort+"/orders", body)
	})
	route("GET /products/{id}", func(w http.ResponseWriter, r *http.Request) {
		g.forward(w, r, g.catalog, "http://"+network.Catalog+":"+network.HTTPPort+"/items/"+r.PathValue("id"), nil)
	})
	return s.serve(ctx, mux)
}

// forward tries the backend up to gatewayTries times and answers with the first
// answer that is not a server error.
func (g *gateway) forward(w http.ResponseWriter, r *http.Request, client *http.Client, url string, body []byte) {
	ctx, begin := r.Context(), time.Now()
	var err error
	for try := 1; try <= gatewayTries; try++ {
		var status int
		if status, err = g.try(ctx, w, client, r.Method, url, body); err == nil {
			g.log.InfoContext(ctx, "request served", "http.route", r.Pattern, "http.response.status_code", status,
				"duration_ms", time.Since(begin).Milliseconds())
			return
		}
		g.log.WarnContext(ctx, "backend call failed", "try", try, "error", err)
	}
	g.log.ErrorContext(ctx, "request failed", "http.route", r.Pattern, "error", err)
	http.Error(w, "try again later", http.StatusBadGateway)
}

func (g *gateway) try(ctx context.Context, w http.ResponseWriter, client *http.Client, method, url string, body []byte) (int, error) {
	req, err := newRequest(ctx, method, url, body)
	if err != nil {
		return 0, err
	}
	resp, err := client.Do(req)
	if err != nil {
		return 0, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err
	}
	if resp.StatusCode >= 500 {
		return 0, fmt.Errorf("%s: %s", resp.Status, trim(answer))
	}
	w.WriteHeader(resp.StatusCode)
	_, _ = w.Write(answer)
	return resp.StatusCode, nil
}

// balanced returns an instrumented client that spreads calls evenly over the
// instances of host, as a mesh or a client-side balancer does.
func (s *service) balanced(host string) *http.Client {
	var b balancer
	for n := range s.Hosts[host] {
		b.instances = append(b.instances, &http.Transport{DialContext: s.dialer(n).DialContext, MaxIdleConnsPerHost: 32})
	}
	return &http.Client{Transport: otelhttp.NewTransport(&b), Timeout: gatewayTimeout}
}

type balancer struct {
	instances []http.RoundTripper
	next      atomic.Uint64
}

func (b *balancer) RoundTrip(r *http.Request) (*http.Response, error) {
	return b.instances[b.next.Add(1)%uint64(len(b.instances))].RoundTrip(r)
}
