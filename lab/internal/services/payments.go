// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package services

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"fmt"
	"math/big"
	"net"
	"net/http"
	"os"
	"time"

	"github.com/firebreak-otel/firebreak/lab/internal/network"
)

// paymentWork is how long the provider takes when it is well.
const paymentWork = 15 * time.Millisecond

// runPayments is the third party: HTTPS, and not a single span.
func runPayments(ctx context.Context, s *service) error {
	cert, err := selfSigned(network.Payments, s.CertFile)
	if err != nil {
		return err
	}
	l, err := tls.Listen("tcp", net.JoinHostPort(s.Address, network.ListenPort(network.HTTPSPort)), &tls.Config{Certificates: []tls.Certificate{cert}, MinVersion: tls.VersionTLS13})
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /v1/charges", func(w http.ResponseWriter, _ *http.Request) {
		switch m := s.mode.get(); m.Status {
		case 0:
			time.Sleep(paymentWork)
			_, _ = w.Write([]byte("{\"status\":\"succeeded\"}\n"))
		case http.StatusTooManyRequests:
			w.Header().Set("Retry-After", "30")
			http.Error(w, "{\"error\":\"rate limit exceeded\"}", m.Status)
		default:
			http.Error(w, "{\"error\":\"upstream unavailable\"}", m.Status)
		}
	})
	srv := &http.Server{Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	go func() {
		<-ctx.Done()
		_ = srv.Close()
	}()
	if err := srv.Serve(l); err != nil && ctx.Err() == nil {
		return err
	}
	return nil
}

// selfSigned makes a certificate for host and leaves its public half in file.
func selfSigned(host, file string) (tls.Certificate, error) {
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return tls.Certificate{}, err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
		IsCA: true, BasicConstraintsValid: true, KeyUsage: x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		return tls.Certificate{}, fmt.Errorf("certificate of %s: %w", host, err)
	}
	if err := os.WriteFile(file, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o644); err != nil {
		return tls.Certificate{}, err
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, nil
}
