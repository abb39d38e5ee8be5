// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package services

import (
	"context"
	"net"

	"github.com/firebreak-otel/firebreak/lab/internal/network"
	"go.opentelemetry.io/contrib/instrumentation/google.golang.org/grpc/otelgrpc"
	"google.golang.org/grpc"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

const notifyMethod = "/shop.notifier.v1.Notifier/Notify"

// notifierDesc is written by hand: one method of well-known types needs no
// generated code.
var notifierDesc = grpc.ServiceDesc{
	ServiceName: "shop.notifier.v1.Notifier",
	HandlerType: (*any)(nil),
	Methods: []grpc.MethodDesc{{
		MethodName: "Notify",
		Handler: func(srv any, ctx context.Context, decode func(any) error, _ grpc.UnaryServerInterceptor) (any, error) {
			text := new(wrapperspb.StringValue)
			if err := decode(text); err != nil {
				return nil, err
			}
			srv.(*service).log.InfoContext(ctx, "customer notified", "text", text.GetValue())
			return new(emptypb.Empty), nil
		},
	}},
}

func notify(ctx context.Context, c *grpc.ClientConn, text string) error {
	return c.Invoke(ctx, notifyMethod, wrapperspb.String(text), new(emptypb.Empty))
}

func runNotifier(ctx context.Context, s *service) error {
	l, err := net.Listen("tcp", net.JoinHostPort(s.Address, network.GRPCPort))
	if err != nil {
		return err
	}
	srv := grpc.NewServer(grpc.StatsHandler(otelgrpc.NewServerHandler()))
	srv.RegisterService(&notifierDesc, s)
	go func() {
		<-ctx.Done()
		srv.Stop()
	}()
	return srv.Serve(l)
}
