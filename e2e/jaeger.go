// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"
)

// get asks for JSON and says so: the question as curl would put it.
func get(ctx context.Context, ask bool, address string, into any) error {
	if ask {
		fmt.Printf("  asked GET %s\n", readable(address))
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		return err
	}
	if resp.StatusCode != http.StatusOK {
		return fmt.Errorf("GET %s: %s: %s", readable(address), resp.Status, text)
	}
	if into == nil {
		return nil
	}
	return json.Unmarshal(text, into)
}

func readable(address string) string {
	if u, err := url.QueryUnescape(address); err == nil {
		return u
	}
	return address
}

func got(format string, args ...any) { fmt.Printf("  got   "+format+"\n", args...) }

func (s *stage) startJaeger(ctx context.Context) error {
	other, err := freeAddresses(5)
	if err != nil {
		return err
	}
	fmt.Printf("  ran   %s --query.http-server.host-port=%s --collector.otlp.grpc.host-port=%s ...\n", s.jaeger, s.jaegerQuery, s.jaegerOTLP)
	_, err = s.launch(ctx, "jaeger", func() error { return get(ctx, false, "http://"+s.jaegerQuery+"/api/services", nil) },
		[]string{"SPAN_STORAGE_TYPE=memory"}, s.jaeger,
		"--collector.otlp.grpc.host-port="+s.jaegerOTLP,
		"--collector.otlp.http.host-port="+other[0],
		"--collector.grpc-server.host-port="+other[1],
		"--collector.http-server.host-port="+other[2],
		"--query.grpc-server.host-port="+other[3],
		"--query.http-server.host-port="+s.jaegerQuery,
		"--admin.http.host-port="+other[4])
	return err
}

type jaegerSpan struct {
	OperationName string
	ProcessID     string
	Tags          []struct {
		Key   string
		Value any
	}
}

func (s jaegerSpan) tag(key string) string {
	for _, t := range s.Tags {
		if t.Key == key {
			return fmt.Sprint(t.Value)
		}
	}
	return ""
}

type jaegerTrace struct {
	TraceID   string
	Spans     []jaegerSpan
	Processes map[string]struct{ ServiceName string }
}

// searchJaeger looks for the guilty spans and for the calls that should have been left alone.
func (s *stage) searchJaeger(ctx context.Context) error {
	if err := s.search(ctx, "rca.role", "root_cause", func(span jaegerSpan) error {
		return want("rca.root_cause.node", span.tag("rca.root_cause.node"), s.truth.Verdict.Root)
	}, "rca.incident.id", "rca.root_cause.node", "rca.root_cause.reason", "rca.path"); err != nil {
		return err
	}
	return s.search(ctx, "breaker.state", "open", func(span jaegerSpan) error {
		name := span.tag("breaker.name")
		if !strings.HasSuffix(name, "->"+s.truth.Verdict.Root) {
			return fmt.Errorf("breaker.name is %q: not of a call to %s", name, s.truth.Verdict.Root)
		}
		return nil
	}, "breaker.name", "breaker.advice", "breaker.reason")
}

// search asks Jaeger, service by service, for traces with a span that has the tag; every such span has to pass
// the check, and there has to be one.
func (s *stage) search(ctx context.Context, key, value string, check func(jaegerSpan) error, show ...string) error {
	var services struct{ Data []string }
	if err := get(ctx, false, "http://"+s.jaegerQuery+"/api/services", &services); err != nil {
		return err
	}
	slices.Sort(services.Data)
	found := 0
	tags, err := json.Marshal(map[string]string{key: value})
	if err != nil {
		return err
	}
	for _, service := range services.Data {
		q := url.Values{"service": {service}, "tags": {string(tags)}, "lookback": {"1h"}, "limit": {"2000"}}
		var answer struct{ Data []jaegerTrace }
		address := "http://" + s.jaegerQuery + "/api/traces?" + q.Encode()
		if err := get(ctx, false, address, &answer); err != nil {
			return err
		}
		if len(answer.Data) == 0 {
			continue
		}
		fmt.Printf("  asked GET %s\n", readable(address))
		spans, example := 0, ""
		for _, t := range answer.Data {
			for _, span := range t.Spans {
				if span.tag(key) != value {
					continue
				}
				spans++
				if err := check(span); err != nil {
					return fmt.Errorf("trace %s, span %s: %w", t.TraceID, span.OperationName, err)
				}
				if example == "" {
					example = fmt.Sprintf("%s %s in trace %s:", t.Processes[span.ProcessID].ServiceName, span.OperationName, t.TraceID)
					for _, k := range show {
						example += fmt.Sprintf(" %s=%s", k, span.tag(k))
					}
				}
			}
		}
		if spans == 0 {
			return fmt.Errorf("%d traces for %s=%s, and no span in them has it", len(answer.Data), key, value)
		}
		found += spans
		got("%d traces with %d such spans; %s", len(answer.Data), spans, example)
	}
	if found == 0 {
		return fmt.Errorf("none of %v has a trace for %s=%s", services.Data, key, value)
	}
	return nil
}

func want(what, is, should string) error {
	if is != should {
		return fmt.Errorf("%s is %q, should be %q", what, is, should)
	}
	return nil
}

var errNone = errors.New("no answer has it yet")

// soon is how long it may take a backend to show what it was sent.
const soon = 30 * time.Second
