// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package network

import (
	"context"
	"net"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLookup(t *testing.T) {
	h := Hosts{Orders: {"127.77.0.21", "127.77.0.22"}}
	for name, tt := range map[string]struct {
		host string
		want []string
	}{
		"name":            {Orders, []string{"127.77.0.21", "127.77.0.22"}},
		"loopback":        {"127.0.0.1", []string{"127.0.0.1"}},
		"unknown name":    {"shop.test", nil},
		"outside address": {"192.0.2.1", nil},
	} {
		t.Run(name, func(t *testing.T) {
			got, err := h.Lookup(tt.host)
			assert.Equal(t, tt.want, got)
			if tt.want == nil {
				require.ErrorIs(t, err, ErrNoHost)
			}
		})
	}
}

func TestDialPinsToOneInstance(t *testing.T) {
	l1, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer func() { _ = l1.Close() }()
	_, port, err := net.SplitHostPort(l1.Addr().String())
	require.NoError(t, err)
	l2, err := net.Listen("tcp", "127.0.0.2:"+port)
	if err != nil {
		t.Skipf("SKIPPED: this machine does not answer on 127.0.0.2: %v", err)
	}
	defer func() { _ = l2.Close() }()
	for n, want := range []string{"127.0.0.1", "127.0.0.2"} {
		d := Dialer{Hosts: Hosts{Orders: {"127.0.0.1", "127.0.0.2"}}, From: "127.0.0.9", Instance: n}
		c, err := d.DialContext(context.Background(), "tcp", net.JoinHostPort(Orders, port))
		require.NoError(t, err)
		assert.Equal(t, net.JoinHostPort(want, port), c.RemoteAddr().String())
		assert.Contains(t, c.LocalAddr().String(), "127.0.0.9:")
		require.NoError(t, c.Close())
	}
	c, err := Dialer{Hosts: Hosts{Broker: {l1.Addr().String()}}, Instance: -1}.DialContext(context.Background(), "tcp", net.JoinHostPort(Broker, BrokerPort))
	require.NoError(t, err, "an address with a port of its own")
	assert.Equal(t, l1.Addr(), c.RemoteAddr())
	require.NoError(t, c.Close())
	_, err = Dialer{Hosts: Hosts{}, Instance: -1}.DialContext(context.Background(), "tcp", "shop.test:80")
	require.ErrorIs(t, err, ErrNoHost)
}
