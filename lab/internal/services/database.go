// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package services

import (
	"context"
	"database/sql"
	"net"
	"time"

	"github.com/XSAM/otelsql"
	"github.com/firebreak-otel/firebreak/lab/internal/network"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// databaseTimeout is what the services allow for the database part of one item,
// the wait for a connection included.
const databaseTimeout = 600 * time.Millisecond

// openDatabase returns an instrumented pool of at most size connections.
func (s *service) openDatabase(size int) (*sql.DB, error) {
	c, err := pgx.ParseConfig("postgres://shop@" + net.JoinHostPort(network.Database, network.DatabasePort) + "/shop?sslmode=disable&application_name=" + s.Instance)
	if err != nil {
		return nil, err
	}
	d := s.dialer(-1)
	c.DialFunc = d.DialContext
	c.LookupFunc = func(_ context.Context, host string) ([]string, error) { return s.Hosts.Lookup(host) }
	db := otelsql.OpenDB(stdlib.GetConnector(*c),
		otelsql.WithAttributes(semconv.DBSystemNamePostgreSQL, semconv.DBNamespace("shop"), semconv.ServerAddress(network.Database), semconv.ServerPort(5432)),
		otelsql.WithSpanOptions(otelsql.SpanOptions{DisableErrSkip: true}))
	db.SetMaxOpenConns(size)
	db.SetMaxIdleConns(size)
	return db, nil
}
