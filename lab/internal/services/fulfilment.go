// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package services

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"net"
	"time"

	"github.com/firebreak-otel/firebreak/lab/internal/network"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kotel"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"go.opentelemetry.io/otel/codes"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
)

const (
	fulfilmentPool  = 2
	fulfilmentGroup = "fulfilment"
	pollRecords     = 10
	notifyTimeout   = 500 * time.Millisecond
)

type fulfilment struct {
	*service
	db       *sql.DB
	notifier *grpc.ClientConn
	tracer   *kotel.Tracer
}

func runFulfilment(ctx context.Context, s *service) error {
	db, err := s.openDatabase(fulfilmentPool)
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	notifier, err := s.dialNotifier()
	if err != nil {
		return err
	}
	defer func() { _ = notifier.Close() }()
	opts := []kotel.TracerOpt{kotel.ClientID(s.Instance), kotel.ConsumerGroup(fulfilmentGroup)}
	if !s.Parented {
		opts = append(opts, kotel.LinkSpans())
	}
	f := &fulfilment{service: s, db: db, notifier: notifier, tracer: kotel.NewTracer(opts...)}
	events, err := kgo.NewClient(append(s.kafkaOptions(f.tracer), kgo.ConsumeTopics(Topic), kgo.ConsumerGroup(fulfilmentGroup),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtEnd()))...)
	if err != nil {
		return err
	}
	defer events.Close()
	for ctx.Err() == nil {
		fetches := events.PollRecords(ctx, pollRecords)
		if ctx.Err() != nil {
			return nil
		}
		fetches.EachError(func(topic string, partition int32, err error) {
			s.log.ErrorContext(ctx, "fetch failed", "topic", topic, "partition", partition, "error", err)
		})
		fetches.EachRecord(f.handle)
	}
	return nil
}

// handle is one "process" span: stock, shipment, a word to the customer.
func (f *fulfilment) handle(r *kgo.Record) {
	ctx, span := f.tracer.WithProcessSpan(r)
	defer span.End()
	id, err := f.fulfil(ctx, r.Value)
	if err != nil {
		span.RecordError(err)
		span.SetStatus(codes.Error, err.Error())
		f.log.ErrorContext(ctx, "order not fulfilled", "error", err)
		return
	}
	f.log.InfoContext(ctx, "order fulfilled", "order.id", id)
}

func (f *fulfilment) fulfil(ctx context.Context, event []byte) (int64, error) {
	var e struct{ Order, Item int64 }
	if err := json.Unmarshal(event, &e); err != nil {
		return 0, fmt.Errorf("not an order event: %w", err)
	}
	time.Sleep(f.mode.get().Delay)
	q, cancel := context.WithTimeout(ctx, databaseTimeout)
	defer cancel()
	if _, err := f.db.ExecContext(q, "UPDATE stock SET n = n - 1 WHERE item = $1", e.Item); err != nil {
		return 0, fmt.Errorf("update stock: %w", err)
	}
	n, cancel := context.WithTimeout(ctx, notifyTimeout)
	defer cancel()
	if err := notify(n, f.notifier, fmt.Sprintf("order %d is on its way", e.Order)); err != nil {
		return 0, fmt.Errorf("notify: %w", err)
	}
	return e.Order, nil
}

func (s *service) dialNotifier() (*grpc.ClientConn, error) {
	d := s.dialer(-1)
	return grpc.NewClient("passthrough:///"+network.Notifier+":"+network.GRPCPort,
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, address string) (net.Conn, error) { return d.DialContext(ctx, "tcp", address) }),
		grpc.WithStatsHandler(otelgrpc.NewClientHandler()))
}
