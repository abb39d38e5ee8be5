// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"strings"

	"github.com/firebreak-otel/firebreak/internal/keys"
	"github.com/firebreak-otel/firebreak/processor/breakerprocessor"
	"github.com/firebreak-otel/firebreak/processor/rcaprocessor"
)

const generated = "<!-- Written by `make generate` from what the code says; change it there. -->\n"

// attributesPage is docs/attributes.md.
func attributesPage() string {
	var b strings.Builder
	b.WriteString("# What is written\n\n" + generated + `
Each attribute and each event record of the two processors. A key has one type for ever. On spans and log records of yours
what you have set yourself is never overwritten, and no status, severity or body is touched; spans and records that have
nothing to do with an open incident, or with an edge whose breaker is not closed, are left as they are. Event records are log
records of ours, with an event name, from the Collector's own resource; they come out of the logs pipeline.

Arrays are for reading: Jaeger and others search single values only.
`)
	section(&b, "rca", "../processor/rcaprocessor/README.md", rcaprocessor.Attributes(), rcaprocessor.Events())
	section(&b, "breaker", "../processor/breakerprocessor/README.md", breakerprocessor.Attributes(), breakerprocessor.Events())
	return b.String()
}

func section(b *strings.Builder, name, readme string, table []keys.Key, events []keys.Event) {
	fmt.Fprintf(b, "\n## `%s`\n\nThe processor is described in [its README](%s).\n", name, readme)
	fmt.Fprint(b, "\n### On spans and log records\n\n| Attribute | On | Type | Example | Meaning |\n| --- | --- | --- | --- | --- |\n")
	for _, k := range table {
		if at := k.In &^ keys.Events; at != 0 {
			fmt.Fprintf(b, "| `%s` | %v | %s | `%s` | %s |\n", k.Name, at, k.Type, k.Example, k.Meaning)
		}
	}
	fmt.Fprint(b, "\n### Event records\n\n| Event | Severity | When |\n| --- | --- | --- |\n")
	for _, e := range events {
		fmt.Fprintf(b, "| `%s` | %s | %s |\n", e.Name, e.Severity, e.When)
	}
	var shared []string
	for _, k := range table {
		if k.In&keys.Events != 0 && k.In != keys.Events {
			shared = append(shared, "`"+k.Name+"`")
		}
	}
	fmt.Fprintf(b, "\nThey have %s as above, and:\n\n| Attribute | Type | Example | Meaning |\n| --- | --- | --- | --- |\n", strings.Join(shared, ", "))
	for _, k := range table {
		if k.In != keys.Events {
			continue
		}
		meaning := k.Meaning
		if k.Only != "" {
			meaning += "; on `" + k.Only + "` only"
		}
		fmt.Fprintf(b, "| `%s` | %s | `%s` | %s |\n", k.Name, k.Type, k.Example, meaning)
	}
}
