// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package keys says what a component writes: the attributes and the event records, each with its meaning. The tables
// stand beside the constants, in attributes.go of each processor; docs/attributes.md is made of them.
package keys // import "github.com/firebreak-otel/firebreak/internal/keys"

import (
	"fmt"
	"strings"

	"go.opentelemetry.io/collector/pdata/pcommon"
)

// Place is where an attribute is written; places add up.
type Place uint8

const (
	Spans  Place = 1 << iota // spans of yours
	Logs                     // log records of yours
	Events                   // event records of ours
)

func (p Place) String() string {
	var names []string
	for i, name := range []string{"spans", "log records", "event records"} {
		if p&(1<<i) != 0 {
			names = append(names, name)
		}
	}
	return strings.Join(names, ", ")
}

// Type is the type that an attribute has for ever.
type Type string

const (
	String  Type = "string"
	Bool    Type = "bool"
	Int     Type = "int"
	Double  Type = "double"
	Strings Type = "string[]"
	Doubles Type = "double[]"
)

// Has says whether a value is of the type. An empty array is of every type of array.
func (t Type) Has(v pcommon.Value) bool {
	of := map[Type]pcommon.ValueType{
		String: pcommon.ValueTypeStr, Bool: pcommon.ValueTypeBool, Int: pcommon.ValueTypeInt, Double: pcommon.ValueTypeDouble,
	}
	element, array := strings.CutSuffix(string(t), "[]")
	if !array {
		return v.Type() == of[t]
	}
	if v.Type() != pcommon.ValueTypeSlice {
		return false
	}
	for _, e := range v.Slice().All() {
		if e.Type() != of[Type(element)] {
			return false
		}
	}
	return true
}

// Key is one attribute.
type Key struct {
	Name    string
	In      Place
	Type    Type
	Example string
	Meaning string // in Markdown, without a full stop
	Only    string // on event records: the only one that has it; empty for all
}

// Event is one kind of event record.
type Event struct {
	Name     string
	Severity string
	When     string
}

// Check says what is wrong with attributes of ours that stand at a place: those with the prefix that are not in the
// table, or there as of another place or type.
func Check(table []Key, prefix string, at Place, m pcommon.Map) (wrong []string) {
	for name, v := range m.All() {
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		k := find(table, name)
		switch {
		case k == nil:
			wrong = append(wrong, name+" is not in the table")
		case k.In&at == 0:
			wrong = append(wrong, fmt.Sprintf("%s is said to be on %v only", name, k.In))
		case !k.Type.Has(v):
			wrong = append(wrong, fmt.Sprintf("%s is said to be a %s, and is a %v", name, k.Type, v.Type()))
		}
	}
	return wrong
}

func find(table []Key, name string) *Key {
	for i := range table {
		if table[i].Name == name {
			return &table[i]
		}
	}
	return nil
}
