// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

//go:generate mdatagen metadata.yaml

// Package breakerprocessor keeps a circuit breaker for every edge of the service graph that passes by.
package breakerprocessor // import "github.com/firebreak-otel/firebreak/processor/breakerprocessor"
