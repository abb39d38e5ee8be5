// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package services

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"time"

	"github.com/firebreak-otel/firebreak/lab/internal/network"
	"github.com/twmb/franz-go/pkg/kgo"
	"go.opentelemetry.io/contrib/instrumentation/net/http/otelhttp"
)

const (
	ordersPool      = 2 // connections of one instance
	paymentTimeout  = 500 * time.Millisecond
	paymentEndpoint = "https://" + network.Payments + "/v1/charges"
)

// Order is the body of POST /checkout and POST /orders.
type Order struct {
	Account int `json:"account"`
	Item    int `json:"item"`
}

type orders struct {
	*service
	db       *sql.DB
	payments *http.Client
	events   *producer
}

func runOrders(ctx context.Context, s *service) error {
	db, err := s.openDatabase(ordersPool)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	payments, err := s.paymentClient()
	if err != nil {
		return err
	}
	events, err := s.newProducer()
	if err != nil {
		return err
	}
	defer events.close()
	o := &orders{service: s, db: db, payments: payments, events: events}
	mux := http.NewServeMux()
	mux.Handle("POST /orders", otelhttp.NewHandler(http.HandlerFunc(o.create), "orders"))
	return s.serve(ctx, mux)
}

// create stores the order, charges for it, and tells fulfilment.
func (o *orders) create(w http.ResponseWriter, r *http.Request) {
	ctx := r.Context()
	var order Order
	if err := json.NewDecoder(r.Body).Decode(&order); err != nil {
		http.Error(w, "not an order: "+err.Error(), http.StatusBadRequest)
		return
	}
	id, err := o.store(ctx, order)
	if err != nil {
		o.refuse(ctx, w, http.StatusInternalServerError, "order not stored", err)
		return
	}
	if err := o.charge(ctx, id); err != nil {
		o.refuse(ctx, w, http.StatusBadGateway, "payment failed", err)
		return
	}
	// The request's cancellation must not reach the producer: a customer who
	// hangs up would make it look as if the broker had failed.
	event := &kgo.Record{Topic: Topic, Key: []byte(strconv.Itoa(order.Account)), Value: []byte(fmt.Sprintf(`{"order":%d,"item":%d}`, id, order.Item))}
	if err := o.events.publish(context.WithoutCancel(ctx), event); err != nil {
		o.refuse(ctx, w, http.StatusServiceUnavailable, "order event not published", err)
		return
	}
	o.log.InfoContext(ctx, "order created", "order.id", id)
	w.WriteHeader(http.StatusCreated)
	_, _ = fmt.Fprintf(w, "{\"order\":%d}\n", id)
}

func (o *orders) refuse(ctx context.Context, w http.ResponseWriter, status int, what string, err error) {
	o.log.ErrorContext(ctx, what, "error", err)
	http.Error(w, what+": "+err.Error(), status)
}

func (o *orders) store(ctx context.Context, order Order) (id int64, err error) {
	ctx, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	var limit int
	err = o.db.QueryRowContext(ctx, "SELECT credit_limit FROM customers WHERE account = $1", order.Account).Scan(&limit)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, fmt.Errorf("credit limit: %w", err)
	}
	err = o.db.QueryRowContext(ctx, "INSERT INTO orders (account, item) VALUES ($1, $2) RETURNING id", order.Account, order.Item).Scan(&id)
	if err != nil {
		return 0, fmt.Errorf("insert order: %w", err)
	}
	return id, nil
}

func (o *orders) charge(ctx context.Context, order int64) error {
	req, err := newRequest(ctx, http.MethodPost, paymentEndpoint, []byte(fmt.Sprintf(`{"reference":"%d","amount":1990}`, order)))
	if err != nil {
		return err
	}
	resp, err := o.payments.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(io.LimitReader(resp.Body, 4096))
	if err != nil {
		return err
	}
	if resp.StatusCode >= 400 {
		return fmt.Errorf("payment provider answered %s: %s", resp.Status, trim(answer))
	}
	return nil
}

// paymentClient trusts the certificate that the payments process has made.
func (s *service) paymentClient() (*http.Client, error) {
	pem, err := os.ReadFile(s.CertFile)
	if err != nil {
		return nil, fmt.Errorf("certificate of %s: %w", network.Payments, err)
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("certificate of %s: no certificate in the file", network.Payments)
	}
	d := s.dialer(-1)
	t := &http.Transport{DialContext: d.DialContext, MaxIdleConnsPerHost: 32, TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS13}}
	return &http.Client{Transport: otelhttp.NewTransport(t), Timeout: paymentTimeout}, nil
}
