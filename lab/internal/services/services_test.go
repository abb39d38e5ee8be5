// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package services

import (
	"bytes"
	"context"
	"crypto/tls"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"
	"time"

	"github.com/firebreak-otel/firebreak/lab/internal/network"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// The third party answers as its mode says, over TLS under its own name, and
// orders' client trusts it.
func TestPaymentsByMode(t *testing.T) {
	const address = "127.0.0.93"
	l, err := net.Listen("tcp", address+":0")
	if err != nil {
		t.Skipf("SKIPPED: this machine does not answer on %s: %v", address, err)
	}
	require.NoError(t, l.Close())
	ctx, stop := context.WithCancel(t.Context())
	s := &service{log: slog.New(slog.DiscardHandler), mode: &mode{}, Config: Config{
		Address: address, CertFile: filepath.Join(t.TempDir(), "cert.pem"), Hosts: network.Hosts{network.Payments: {address}},
	}}
	control, err := s.mode.listen(address)
	require.NoError(t, err)
	defer func() { _ = control.Close() }()
	ended := make(chan error, 1)
	go func() { ended <- runPayments(ctx, s) }()
	defer func() { stop(); require.NoError(t, <-ended) }()

	var client *http.Client
	require.Eventually(t, func() bool {
		c, err := tls.Dial("tcp", net.JoinHostPort(address, network.ListenPort(network.HTTPSPort)), &tls.Config{InsecureSkipVerify: true})
		if err != nil {
			return false
		}
		_ = c.Close()
		client, err = s.paymentClient()
		return err == nil
	}, 5*time.Second, 10*time.Millisecond)
	o := &orders{service: s, payments: client}
	for _, tt := range []struct {
		mode Mode
		want string
	}{{Mode{}, ""}, {Mode{Status: 503}, "503 Service Unavailable"}, {Mode{Status: 429}, "429 Too Many Requests"}, {Mode{}, ""}} {
		body, err := json.Marshal(tt.mode)
		require.NoError(t, err)
		resp, err := http.Post("http://"+net.JoinHostPort(address, network.ControlPort)+"/mode", "application/json", bytes.NewReader(body))
		require.NoError(t, err)
		require.NoError(t, resp.Body.Close())
		err = o.charge(ctx, 1)
		if tt.want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, tt.want)
		}
	}
}

// The gateway tries three times, at once, and passes on what is no server error.
func TestGatewayTries(t *testing.T) {
	for name, tt := range map[string]struct {
		answers []int
		want    int
		tries   int
	}{
		"at once":      {[]int{201}, 201, 1},
		"third time":   {[]int{500, 503, 200}, 200, 3},
		"never":        {[]int{500, 500, 500}, 502, 3},
		"client error": {[]int{404}, 404, 1},
	} {
		t.Run(name, func(t *testing.T) {
			tries := 0
			backend := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				b, _ := io.ReadAll(r.Body)
				assert.Equal(t, "order", string(b), "every try sends the body")
				w.WriteHeader(tt.answers[tries])
				tries++
			}))
			defer backend.Close()
			g := &gateway{service: &service{log: slog.New(slog.DiscardHandler)}}
			w := httptest.NewRecorder()
			g.forward(w, httptest.NewRequest(http.MethodPost, "/checkout", nil), backend.Client(), backend.URL, []byte("order"))
			assert.Equal(t, tt.want, w.Code)
			assert.Equal(t, tt.tries, tries)
		})
	}
}

func TestBalancerTakesTurns(t *testing.T) {
	var got []int
	var b balancer
	for n := range 2 {
		b.instances = append(b.instances, roundTripper(func(*http.Request) (*http.Response, error) {
			got = append(got, n)
			return nil, nil
		}))
	}
	for range 4 {
		_, _ = b.RoundTrip(nil)
	}
	assert.Equal(t, []int{1, 0, 1, 0}, got)
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }
