// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package call translates OpenTelemetry spans into plain facts: who called whom,
// how, with what outcome. It is the only package that knows semantic conventions,
// new and legacy; everything behind it reads Calls and knows no pdata.
package call
