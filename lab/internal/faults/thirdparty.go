// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package faults

import (
	"context"
	"net/http"

	"github.com/firebreak-otel/firebreak/lab/internal/network"
	"github.com/firebreak-otel/firebreak/lab/internal/services"
	"github.com/firebreak-otel/firebreak/lab/internal/truth"
)

func thirdPartyFaults() []Fault {
	guilty := truth.Verdict{Root: network.Payments, Kind: "external"}
	hurt := []string{"shop/orders", "shop/gateway"}
	answer := func(status int) func(context.Context, *System) (Heal, error) {
		return func(ctx context.Context, s *System) (Heal, error) {
			return setMode(ctx, s, "payments-1", services.Mode{Status: status})
		}
	}
	return []Fault{
		{
			Name:        "third-party-errors",
			Description: "the payment provider, which sends no telemetry, answers every charge with 503",
			Target:      network.Payments,
			Verdict:     guilty,
			Symptoms:    hurt,
			Parented:    true,
			Inject:      answer(http.StatusServiceUnavailable),
		},
		{
			Name:        "third-party-throttle",
			Description: "the payment provider, which sends no telemetry, answers every charge with 429 and Retry-After",
			Target:      network.Payments,
			Verdict:     guilty,
			Symptoms:    hurt,
			Inject:      answer(http.StatusTooManyRequests),
		},
	}
}
