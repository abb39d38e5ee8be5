// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package services

import (
	"encoding/json"
	"net"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/firebreak-otel/firebreak/lab/internal/network"
)

// Mode is how a part misbehaves by its own code; the zero value behaves.
type Mode struct {
	Delay  time.Duration // extra work for every item
	Status int           // payments: answer this instead of 200
}

// mode is the current Mode of this process.
type mode struct{ now atomic.Pointer[Mode] }

func (m *mode) get() Mode {
	if now := m.now.Load(); now != nil {
		return *now
	}
	return Mode{}
}

// listen serves the control port: GET / says that the process is up, POST /mode
// with a Mode in JSON changes its behaviour.
func (m *mode) listen(address string) (net.Listener, error) {
	l, err := net.Listen("tcp", net.JoinHostPort(address, network.ControlPort))
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /", func(http.ResponseWriter, *http.Request) {})
	mux.HandleFunc("POST /mode", func(w http.ResponseWriter, r *http.Request) {
		var next Mode
		if err := json.NewDecoder(r.Body).Decode(&next); err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		m.now.Store(&next)
	})
	go func() { _ = http.Serve(l, mux) }()
	return l, nil
}
