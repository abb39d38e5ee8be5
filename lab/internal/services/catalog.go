// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package services

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/firebreak-otel/firebreak/lab/internal/network"
	"github.com/redis/go-redis/extra/redisotel/v9"
	"github.com/redis/go-redis/v9"
	"github.com/redis/go-redis/v9/maintnotifications"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

const (
	cacheTimeout = 250 * time.Millisecond
	cacheExpiry  = 30 * time.Second
	// faultyVersion is the release with a bug; see load.
	faultyVersion = "1.1.0"
)

// catalog answers from its cache, and from its own table on a miss. It has no
// way round a cache that does not answer.
type catalog struct {
	*service
	cache *redis.Client
}

func runCatalog(ctx context.Context, s *service) error {
	d := s.dialer(-1)
	c := redis.NewClient(&redis.Options{
		Addr: net.JoinHostPort(network.Cache, network.CachePort), Dialer: d.DialContext, PoolSize: 8,
		DialTimeout: cacheTimeout, ReadTimeout: cacheTimeout, WriteTimeout: cacheTimeout, PoolTimeout: 2 * cacheTimeout,
		MaxRetries: 1, DisableIdentity: true,
		MaintNotificationsConfig: &maintnotifications.Config{Mode: maintnotifications.ModeDisabled},
	})
	defer func() { _ = c.Close() }()
	// No caller attributes: they would carry paths of the machine that built us.
	if err := redisotel.InstrumentTracing(c, redisotel.WithCallerEnabled(false)); err != nil {
		return err
	}
	cat := &catalog{service: s, cache: c}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /items/{id}", cat.item)
	// Around the whole mux, as many do: its server spans then know no http.route,
	// unlike those of gateway and orders, which wrap each route.
	return s.serve(ctx, otelhttp.NewHandler(mux, "catalog"))
}

func (c *catalog) item(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil {
		http.Error(w, "not an item", http.StatusBadRequest)
		return
	}
	page, err := c.load(ctx, id)
	if err != nil {
		c.log.ErrorContext(ctx, "item not loaded", "item.id", id, "error", err)
		http.Error(w, "item not loaded", http.StatusInternalServerError)
		return
	}
	c.log.InfoContext(ctx, "item served", "item.id", id)
	_, _ = w.Write([]byte(page))
}

func (c *catalog) load(ctx context.Context, id int) (string, error) {
	key := fmt.Sprintf("item:%d", id)
	page, err := c.cache.Get(ctx, key).Result()
	if errors.Is(err, redis.Nil) {
		page = fmt.Sprintf("{\"item\":%d,\"name\":\"item %d\",\"price\":1990}", id, id)
		err = c.cache.Set(ctx, key, page, cacheExpiry).Err()
	}
	if err != nil {
		return "", fmt.Errorf("cache: %w", err)
	}
	// The bad release: it looks up a discount table that only every third item
	// lacks, so a retry meets the same error.
	if c.Version == faultyVersion && id%3 == 0 {
		return "", fmt.Errorf("render item %d: discount table has no row for tier %d", id, id%3)
	}
	return page, nil
}
