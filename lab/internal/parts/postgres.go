// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package parts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"sort"
	"syscall"
	"time"

	"github.com/firebreak-otel/firebreak/lab/internal/network"
	"github.com/jackc/pgx/v5"
)

// ErrNoPostgres says that the server's programs are not installed.
var ErrNoPostgres = errors.New("PostgreSQL's server programs are not installed: run \"lab deps\"")

// MaxConnections of the server, three of them reserved for the superuser.
const MaxConnections = 40

// Customers is the size of the table that a lookup without its index has to
// scan, and the number of accounts that the load draws from.
const Customers = 3_000_000

// Items is the number of items in stock.
const Items = 100

// Postgres is a server with one database "shop" in a scratch directory.
type Postgres struct {
	*Process
	address string
}

// PostgresPrograms returns the directory that holds initdb and postgres.
func PostgresPrograms() (string, error) {
	dirs, _ := filepath.Glob("/usr/lib/postgresql/*/bin/initdb")
	if len(dirs) > 0 {
		sort.Strings(dirs)
		return filepath.Dir(dirs[len(dirs)-1]), nil
	}
	if p, err := exec.LookPath("initdb"); err == nil {
		return filepath.Dir(p), nil
	}
	return "", ErrNoPostgres
}

// StartPostgres initialises and starts a server on address, and fills it with
// so many customers.
func StartPostgres(ctx context.Context, scratch, address string, customers int) (*Postgres, error) {
	programs, err := PostgresPrograms()
	if err != nil {
		return nil, err
	}
	cred, err := unprivileged()
	if err != nil {
		return nil, err
	}
	data := filepath.Join(scratch, "postgres")
	if err := os.Mkdir(data, 0o700); err != nil {
		return nil, err
	}
	if cred != nil {
		if err := os.Chown(data, int(cred.Uid), int(cred.Gid)); err != nil {
			return nil, err
		}
	}
	as := func(name string, args ...string) *exec.Cmd {
		cmd := exec.CommandContext(ctx, filepath.Join(programs, name), args...)
		cmd.Dir, cmd.Env = data, []string{"PATH=/usr/bin:/bin", "LC_ALL=C"}
		if cred != nil {
			cmd.SysProcAttr = &syscall.SysProcAttr{Credential: cred}
		}
		return cmd
	}
	if out, err := as("initdb", "-D", data, "-U", "postgres", "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync").CombinedOutput(); err != nil {
		return nil, fmt.Errorf("initdb: %w: %s", err, out)
	}
	// initdb trusts 127.0.0.1 only; the lab's names stand for more of loopback.
	hba := []byte("host all all 127.0.0.0/8 trust\n")
	if err := os.WriteFile(filepath.Join(data, "pg_hba.conf"), hba, 0o644); err != nil {
		return nil, err
	}
	server := as("postgres", "-D", data, "-c", "listen_addresses="+address, "-c", "port="+network.DatabasePort,
		"-c", "unix_socket_directories=", "-c", fmt.Sprintf("max_connections=%d", MaxConnections),
		"-c", "fsync=off", "-c", "autovacuum=off", "-c", "max_parallel_workers_per_gather=0", "-c", "shared_buffers=256MB",
		"-c", "jit=off", "-c", "max_wal_size=1GB", "-c", "checkpoint_timeout=30min")
	// Stop ends the server, not ctx: the services are to go first.
	server.Cancel = func() error { return nil }
	p, err := StartProcess(scratch, "postgresql", server)
	if err != nil {
		return nil, err
	}
	pg := &Postgres{Process: p, address: address}
	if err := pg.fill(ctx, customers); err != nil {
		pg.Stop()
		return nil, err
	}
	return pg, nil
}

// Stop ends the server.
func (p *Postgres) Stop() { p.Process.Stop(syscall.SIGINT, 5*time.Second) }

// Admin connects as the superuser, past the shop's connection limit.
func (p *Postgres) Admin(ctx context.Context, database string) (*pgx.Conn, error) {
	return p.connect(ctx, "postgres", database)
}

// Outsider connects as the shop's role from outside the shop.
func (p *Postgres) Outsider(ctx context.Context) (*pgx.Conn, error) {
	return p.connect(ctx, "shop", "shop")
}

func (p *Postgres) connect(ctx context.Context, role, database string) (*pgx.Conn, error) {
	return pgx.Connect(ctx, "postgres://"+role+"@"+net.JoinHostPort(p.address, network.DatabasePort)+"/"+database+"?sslmode=disable&application_name=outsider")
}

func (p *Postgres) fill(ctx context.Context, customers int) error {
	err := p.Await(30*time.Second, func() error {
		c, err := p.Admin(ctx, "postgres")
		if err != nil {
			return err
		}
		defer func() { _ = c.Close(ctx) }()
		for _, q := range []string{"CREATE ROLE shop LOGIN", "CREATE DATABASE shop OWNER shop"} {
			if _, err := c.Exec(ctx, q); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		return err
	}
	c, err := p.Outsider(ctx)
	if err != nil {
		return err
	}
	defer func() { _ = c.Close(ctx) }()
	for _, q := range []string{
		"CREATE TABLE orders (id bigserial PRIMARY KEY, account int NOT NULL, item int NOT NULL, created timestamptz NOT NULL DEFAULT now())",
		"CREATE TABLE stock (item int PRIMARY KEY, n int NOT NULL)",
		fmt.Sprintf("INSERT INTO stock SELECT i, 1000000 FROM generate_series(0, %d) i", Items-1),
		"CREATE TABLE customers (account int NOT NULL, credit_limit int NOT NULL, address text NOT NULL)",
		fmt.Sprintf("INSERT INTO customers SELECT i, 5000, repeat('x', 40) FROM generate_series(0, %d) i", customers-1),
		CreateCustomersIndex,
		"ANALYZE",
	} {
		if _, err := c.Exec(ctx, q); err != nil {
			return fmt.Errorf("fill the database: %q: %w", q, err)
		}
	}
	return nil
}

// CreateCustomersIndex and DropCustomersIndex make the credit lookup quick and
// slow.
const (
	CreateCustomersIndex = "CREATE INDEX customers_account ON customers (account)"
	DropCustomersIndex   = "DROP INDEX customers_account"
)
