// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package faults holds what can be done to the shop. Each fault is a real
// action on a real part; no span is ever painted.
package faults

import (
	"context"
	"fmt"
	"strings"

	"github.com/firebreak-otel/firebreak/lab/internal/load"
	"github.com/firebreak-otel/firebreak/lab/internal/parts"
	"github.com/firebreak-otel/firebreak/lab/internal/truth"
)

// System is what a fault can lay its hands on.
type System struct {
	Postgres *parts.Postgres
	Redis    *parts.Redis
	Broker   *parts.Process
	Fleet    *parts.Fleet
	Load     *load.Generator
}

// Heal undoes a fault.
type Heal func(context.Context) error

// Fault is one thing that can go wrong.
type Fault struct {
	Name        string
	Description string // one sentence: what was done
	Target      string // what it was done to
	Verdict     truth.Verdict
	Symptoms    []string
	// Parented records this incident with consumer spans as children of their
	// producer's, the others with links: both shapes are met.
	Parented bool
	// OwnBroker says that it is done to the broker's process, which the lab
	// must have started.
	OwnBroker bool
	// Inject does it and returns how to undo it.
	Inject func(context.Context, *System) (Heal, error)
}

// All returns every fault, the headline one first.
func All() []Fault {
	return append(databaseFaults(), append(processFaults(), thirdPartyFaults()...)...)
}

// Find returns the fault of that name.
func Find(name string) (Fault, error) {
	var names []string
	for _, f := range All() {
		if f.Name == name {
			return f, nil
		}
		names = append(names, f.Name)
	}
	return Fault{}, fmt.Errorf("no fault %q: choose one of %s", name, strings.Join(names, ", "))
}

var (
	databaseGuilty = truth.Verdict{Root: "postgresql/shop", Kind: "database"}
	silent         = truth.Verdict{Silent: true}
)
