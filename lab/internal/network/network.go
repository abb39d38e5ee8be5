// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package network gives the lab a small network of its own: host names of the
// kind that production spans carry, each standing for one or more loopback
// addresses. Nothing outside 127.0.0.0/8 is ever dialled.
package network

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"time"
)

// Host names as they appear in spans.
const (
	Gateway  = "shop.example"
	Orders   = "orders.shop.internal"
	Catalog  = "catalog.shop.internal"
	Notifier = "notifier.shop.internal"
	Database = "db.shop.internal"
	Cache    = "cache.shop.internal"
	Broker   = "kafka.shop.internal"
	Payments = "api.payments.example"
)

// Ports that the parts listen on. They are the usual ones of each protocol, so
// that spans look as they do in production; only HTTPS is moved to a port that
// needs no privilege.
const (
	HTTPPort     = "8080"
	GRPCPort     = "9090"
	DatabasePort = "5432"
	CachePort    = "6379"
	BrokerPort   = "9092"
	HTTPSPort    = "443"
	ControlPort  = "9999"

	// httpsListen is where the dialer really finds HTTPSPort.
	httpsListen = "8443"
)

// ErrNoHost says that a name is not part of the lab's network.
var ErrNoHost = errors.New("no such host in the lab's network")

// Hosts maps a host name to the loopback addresses behind it.
type Hosts map[string][]string

// Plan is the address plan of one run: 127.SUBNET.0.0/24.
type Plan struct{ Subnet int }

// Address returns the n-th address of the plan.
func (p Plan) Address(n int) string { return fmt.Sprintf("127.%d.0.%d", p.Subnet, n) }

// FreePlan returns a plan in which nobody listens yet, so that two labs can run
// on one machine.
func FreePlan() (Plan, error) {
	for subnet := 77; subnet < 97; subnet++ {
		plan := Plan{Subnet: subnet}
		l, err := net.Listen("tcp", net.JoinHostPort(plan.Address(1), ControlPort))
		if err != nil {
			continue
		}
		_ = l.Close()
		db, err := net.Listen("tcp", net.JoinHostPort(plan.Address(40), DatabasePort))
		if err != nil {
			continue
		}
		_ = db.Close()
		return plan, nil
	}
	return Plan{}, errors.New("no free loopback range between 127.77.0.0/24 and 127.96.0.0/24: stop other labs, or check that this machine answers on all of 127.0.0.0/8 (Linux does)")
}

// Lookup returns the addresses of host; a literal loopback address is its own.
func (h Hosts) Lookup(host string) ([]string, error) {
	if addrs, ok := h[host]; ok && len(addrs) > 0 {
		return addrs, nil
	}
	if ip := net.ParseIP(host); ip != nil && ip.IsLoopback() {
		return []string{host}, nil
	}
	return nil, fmt.Errorf("%q: %w", host, ErrNoHost)
}

// Dialer dials by the lab's names.
type Dialer struct {
	Hosts Hosts
	// From is the caller's own address, which servers see as their peer.
	From string
	// Instance, when not negative, pins every dial to one address of the host:
	// a client-side load balancer keeps one dialer per instance.
	Instance int
}

// DialContext has the signature that net/http, pgx, go-redis, kgo ask for.
func (d Dialer) DialContext(ctx context.Context, _, address string) (net.Conn, error) {
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		return nil, err
	}
	addrs, err := d.Hosts.Lookup(host)
	if err != nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: err}
	}
	n := d.Instance
	if n < 0 || n >= len(addrs) {
		n = rand.IntN(len(addrs))
	}
	target := addrs[n]
	if host, _, err = net.SplitHostPort(target); err != nil {
		host, target = target, net.JoinHostPort(target, ListenPort(port))
	}
	dialer := net.Dialer{Timeout: 2 * time.Second}
	// Beyond loopback, where a broker may run, nobody knows the lab's addresses.
	if ip := net.ParseIP(host); d.From != "" && ip.IsLoopback() {
		dialer.LocalAddr = &net.TCPAddr{IP: net.ParseIP(d.From)}
	}
	return dialer.DialContext(ctx, "tcp", target)
}

// ListenPort is the port that a part listens on for a port seen in spans.
func ListenPort(port string) string {
	if port == HTTPSPort {
		return httpsListen
	}
	return port
}
