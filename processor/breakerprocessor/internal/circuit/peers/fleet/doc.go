// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package fleet simulates replicas of one service that call others, and has the same calls judged by the breaker
// that reads their spans and by in-process breakers of other libraries, one a replica. Everything happens in a
// synctest bubble: the clock that the libraries read is the simulated one, and no library is changed.
//
//	go test -v ./fleet          # prints the tables; a minute, most of it the simulated day
//	go test -v -short ./fleet   # without the day
package fleet
