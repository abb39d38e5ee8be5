// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/firebreak-otel/firebreak/lab/internal/parts"
	"github.com/firebreak-otel/firebreak/lab/internal/truth"
	"github.com/jackc/pgx/v5"
)

func databaseFaults() []Fault {
	return []Fault{
		{
			Name:        "postgres-lock",
			Description: "another session holds LOCK TABLE orders IN ACCESS EXCLUSIVE MODE, so every insert waits until its deadline and, the pool being held by those, more than half of the requests end before their insert is sent",
			Target:      "PostgreSQL, table orders",
			Verdict:     databaseGuilty,
			Symptoms:    []string{"shop/orders", "shop/gateway"},
			Inject:      lockOrders,
		},
		{
			Name:        "postgres-slow-query",
			Description: "the index on customers(account) is dropped, so the credit lookup of every checkout scans three million rows",
			Target:      "PostgreSQL, table customers",
			Verdict:     databaseGuilty,
			Symptoms:    []string{"shop/orders", "shop/gateway"},
			Inject:      dropIndex,
		},
		{
			Name:        "postgres-connections",
			Description: "an outsider takes every connection that the server allows and the shop's pools are terminated, so nobody can connect",
			Target:      "PostgreSQL, max_connections",
			Verdict:     databaseGuilty,
			Symptoms:    []string{"shop/orders", "shop/gateway"},
			Inject:      exhaustConnections,
		},
		{
			Name:        "redis-stall",
			Description: "Redis is stopped with SIGSTOP: connections open but nothing answers",
			Target:      "Redis",
			Verdict:     truth.Verdict{Root: "redis/cache.shop.internal", Kind: "database"},
			Symptoms:    []string{"shop/catalog", "shop/gateway"},
			Inject: func(_ context.Context, s *System) (Heal, error) {
				return pause(s.Redis.Process)
			},
		},
	}
}

func lockOrders(ctx context.Context, s *System) (Heal, error) {
	c, err := s.Postgres.Admin(ctx, "shop")
	if err != nil {
		return nil, err
	}
	for _, q := range []string{"BEGIN", "LOCK TABLE orders IN ACCESS EXCLUSIVE MODE"} {
		if _, err := c.Exec(ctx, q); err != nil {
			return nil, errors.Join(err, c.Close(ctx))
		}
	}
	return func(ctx context.Context) error {
		_, err := c.Exec(ctx, "ROLLBACK")
		return errors.Join(err, c.Close(ctx))
	}, nil
}

func dropIndex(ctx context.Context, s *System) (Heal, error) {
	run := func(ctx context.Context, q string) error {
		c, err := s.Postgres.Admin(ctx, "shop")
		if err != nil {
			return err
		}
		_, err = c.Exec(ctx, q)
		return errors.Join(err, c.Close(ctx))
	}
	return func(ctx context.Context) error { return run(ctx, parts.CreateCustomersIndex) }, run(ctx, parts.DropCustomersIndex)
}

// exhaustConnections keeps taking whatever connection becomes free, as a
// runaway batch job does, and ends those of the shop once.
func exhaustConnections(ctx context.Context, s *System) (Heal, error) {
	admin, err := s.Postgres.Admin(ctx, "shop")
	if err != nil {
		return nil, err
	}
	hoard, stop := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	for range parts.MaxConnections {
		wg.Go(func() { hold(hoard, s.Postgres) })
	}
	heal := func(ctx context.Context) error {
		stop()
		wg.Wait()
		return admin.Close(ctx)
	}
	if _, err := admin.Exec(ctx, "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'shop' AND application_name <> 'outsider'"); err != nil {
		return nil, errors.Join(err, heal(ctx))
	}
	return heal, nil
}

// hold takes one connection and keeps it until ctx ends.
func hold(ctx context.Context, p *parts.Postgres) {
	for ctx.Err() == nil {
		c, err := p.Outsider(ctx)
		if err != nil {
			wait(ctx, 20*time.Millisecond)
			continue
		}
		<-ctx.Done()
		closeQuietly(c)
	}
}

func closeQuietly(c *pgx.Conn) {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = c.Close(ctx)
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
