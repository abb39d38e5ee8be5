// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Package firebreak holds the test of the repository's own rules: what may import what, and who may
// know what. The files are read, not built, so that a broken rule is named even where nothing compiles.
package firebreak

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module   = "github.com/firebreak-otel/firebreak/"
	maxLines = 450
	header   = "// Copyright The Firebreak Authors\n// SPDX-License-Identifier: Apache-2.0\n"
)

// source is one Go file, by its path from the root with slashes.
type source struct {
	path string
	text []byte
	fset *token.FileSet
	file *ast.File
}

func (s *source) isTest() bool    { return strings.HasSuffix(s.path, "_test.go") }
func (s *source) generated() bool { return ast.IsGenerated(s.file) }

// nested says whether the file belongs to another module of the repository.
func (s *source) nested() bool {
	return under(s.path, "lab", "bench", "cmd/otelcol-custom", "internal/tools")
}

// processor is the path of the processor that the file is part of, or "".
func (s *source) processor() string {
	parts := strings.Split(s.path, "/")
	if len(parts) < 3 || parts[0] != "processor" {
		return ""
	}
	return parts[0] + "/" + parts[1]
}

// decides says whether the file is part of a package that decides: its answers must follow from its
// input alone, so it gets no telemetry type, no logger, no clock and no lock.
func (s *source) decides() bool {
	if under(s.path, "internal/window", "internal/trace", "internal/watermark") {
		return true
	}
	p := s.processor()
	// peers is a module of its own: it runs other libraries beside ours, and decides nothing.
	return p != "" && under(s.path, p+"/internal") &&
		!under(s.path, p+"/internal/metadata", p+"/internal/metadatatest", p+"/internal/circuit/peers")
}

func (s *source) at(n ast.Node) string {
	return fmt.Sprintf("%s:%d", s.path, s.fset.Position(n.Pos()).Line)
}

// imports yields the import specs and their paths.
func (s *source) imports(yield func(*ast.ImportSpec, string)) {
	for _, spec := range s.file.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err == nil {
			yield(spec, p)
		}
	}
}

// under says whether p is one of the directories or lies in one.
func under(p string, dirs ...string) bool {
	return slices.ContainsFunc(dirs, func(d string) bool { return p == d || strings.HasPrefix(p, d+"/") })
}

func parse(p string, text []byte) (*source, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, p, text, parser.ParseComments|parser.SkipObjectResolution)
	if err != nil {
		return nil, err
	}
	return &source{p, text, fset, file}, nil
}

// A check returns what is wrong with a file, each with its place and what to do.
var checks = []struct {
	name  string
	check func(*source) []string
}{
	{"deciding packages import only what decides", checkImports},
	{"deciding packages ask no clock", checkClock},
	{"shared packages know no processor", checkDirection},
	{"internal/call knows nothing of ours", checkCall},
	{"only internal/call knows semantic conventions", checkConventions},
	{"every file has its licence header", checkHeader},
	{"no file holds more than one subject", checkLength},
}

func checkImports(s *source) (wrong []string) {
	if !s.decides() || s.isTest() {
		return nil
	}
	own := s.processor() + "/internal"
	s.imports(func(spec *ast.ImportSpec, p string) {
		ours, isOurs := strings.CutPrefix(p, module)
		switch {
		case under(p, "go.opentelemetry.io", "go.uber.org/zap", "sync", "context", "log", "log/slog", "net", "os"):
			wrong = append(wrong, s.at(spec)+" imports "+p+", but decides: hand it plain values")
		case isOurs && s.processor() != "" && under(ours, own) && !under(ours, own+"/metadata", own+"/metadatatest"):
		case isOurs && !under(ours, "internal/call", "internal/trace", "internal/window", "internal/watermark"):
			wrong = append(wrong, s.at(spec)+" imports "+ours+", but decides: imports run from the shell inwards")
		}
	})
	return wrong
}

var clockFuncs = []string{"Now", "Since", "Until", "After", "AfterFunc", "Tick", "NewTicker", "NewTimer", "Sleep"}

func checkClock(s *source) (wrong []string) {
	if !s.decides() || s.isTest() {
		return nil
	}
	name := ""
	s.imports(func(spec *ast.ImportSpec, p string) {
		if p == "time" {
			name = "time"
			if spec.Name != nil {
				name = spec.Name.Name
			}
		}
	})
	if name == "." {
		return []string{s.path + " imports time into its own scope: name it"}
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		sel, ok := n.(*ast.SelectorExpr)
		if !ok {
			return true
		}
		pkg, ok := sel.X.(*ast.Ident)
		if ok && name != "" && pkg.Name == name && slices.Contains(clockFuncs, sel.Sel.Name) {
			wrong = append(wrong, s.at(n)+" calls time."+sel.Sel.Name+", but decides: take the time as an argument")
		}
		return true
	})
	return wrong
}

func checkDirection(s *source) (wrong []string) {
	if !under(s.path, "internal") || s.nested() {
		return nil
	}
	s.imports(func(spec *ast.ImportSpec, p string) {
		if under(p, module+"processor", module+"cmd") {
			wrong = append(wrong, s.at(spec)+" imports "+p+": what all share knows none of its users")
		}
	})
	return wrong
}

func checkCall(s *source) (wrong []string) {
	if !under(s.path, "internal/call") || s.isTest() {
		return nil
	}
	s.imports(func(spec *ast.ImportSpec, p string) {
		if strings.HasPrefix(p, module) {
			wrong = append(wrong, s.at(spec)+" imports "+p+": a call is read from pdata alone")
		}
	})
	return wrong
}

// convention matches the attribute keys that internal/call looks up. Not service.*: that is also how
// our own event records say where they come from.
var convention = regexp.MustCompile(`^(aws|client|db|error|exception|faas|feature_flag|gen_ai|graphql|http|messaging|net|network|peer|rpc|server|url)\.[a-z][a-z0-9_.]*$`)

func checkConventions(s *source) (wrong []string) {
	if s.nested() || s.isTest() || s.generated() || under(s.path, "internal/call", "internal/simulate") {
		return nil // the simulator sends what real instrumentations send
	}
	ast.Inspect(s.file, func(n ast.Node) bool {
		if _, ok := n.(*ast.ImportSpec); ok {
			return false
		}
		lit, ok := n.(*ast.BasicLit)
		if !ok || lit.Kind != token.STRING {
			return true
		}
		if text, err := strconv.Unquote(lit.Value); err == nil && convention.MatchString(text) {
			wrong = append(wrong, s.at(n)+" names "+text+": only internal/call knows semantic conventions")
		}
		return true
	})
	return wrong
}

func checkHeader(s *source) []string {
	if s.generated() || bytes.HasPrefix(s.text, []byte(header)) {
		return nil
	}
	return []string{s.path + " does not start with the copyright and SPDX lines of its neighbours"}
}

func checkLength(s *source) []string {
	if n := bytes.Count(s.text, []byte("\n")); n >= maxLines && !s.isTest() && !s.generated() {
		return []string{fmt.Sprintf("%s has %d lines: split it by subject, below %d", s.path, n, maxLines)}
	}
	return nil
}

// sources reads every Go file of the repository, in all its modules.
func sources(t *testing.T) []*source {
	t.Helper()
	var all []*source
	err := filepath.WalkDir(".", func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() && p != "." && (strings.HasPrefix(d.Name(), ".") || p == "out" || p == "bin" || d.Name() == "testdata") {
			return filepath.SkipDir
		}
		if d.IsDir() || !strings.HasSuffix(p, ".go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		s, err := parse(filepath.ToSlash(p), text)
		if err != nil {
			return err
		}
		all = append(all, s)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}

func TestArchitecture(t *testing.T) {
	all := sources(t)
	for _, c := range checks {
		t.Run(c.name, func(t *testing.T) {
			for _, s := range all {
				for _, w := range c.check(s) {
					t.Error(w)
				}
			}
		})
	}
}

// Every check finds what it is there for, and lets pass what only looks like it.
func TestChecks(t *testing.T) {
	long := strings.Repeat("// line\n", maxLines)
	const (
		deciding = "processor/rcaprocessor/internal/blame/a.go"
		shell    = "processor/rcaprocessor/a.go"
		ours     = `import "` + module
	)
	tests := []struct {
		check       func(*source) []string
		path, body  string
		wrong       int
		description string
	}{
		{checkImports, deciding, `import "go.opentelemetry.io/collector/pdata/ptrace"`, 1, "pdata"},
		{checkImports, "internal/window/a.go", `import "go.uber.org/zap"`, 1, "a logger"},
		{checkImports, "internal/trace/a.go", `import "sync"`, 1, "a lock"},
		{checkImports, "internal/watermark/a.go", `import "sync/atomic"`, 1, "an atomic"},
		{checkImports, deciding, ours + `processor/rcaprocessor"`, 1, "its own shell"},
		{checkImports, deciding, ours + `processor/rcaprocessor/internal/metadata"`, 1, "its shell's telemetry"},
		{checkImports, deciding, ours + `processor/breakerprocessor/internal/circuit"`, 1, "its sibling"},
		{checkImports, deciding, ours + `internal/shared"`, 1, "shared engines"},
		{checkImports, "internal/window/a.go", ours + `processor/rcaprocessor/internal/graph"`, 1, "outwards"},
		{checkImports, deciding, ours + `processor/rcaprocessor/internal/graph"`, 0, "its neighbour"},
		{checkImports, deciding, ours + `internal/window"`, 0, "inwards"},
		{checkImports, deciding, `import "syncope"`, 0, "a name that begins alike"},
		{checkImports, shell, `import "go.uber.org/zap"`, 0, "the shell may"},
		{checkImports, "processor/rcaprocessor/internal/metadata/a.go", `import "sync"`, 0, "generated telemetry may"},
		{checkImports, "processor/rcaprocessor/internal/blame/a_test.go", `import "sync"`, 0, "a test may"},

		{checkClock, deciding, "import \"time\"\nvar x = time.Now()", 1, "now"},
		{checkClock, deciding, "import clock \"time\"\nvar x = clock.Since(y)", 1, "by another name"},
		{checkClock, deciding, "import . \"time\"\nvar x = Now()", 1, "without a name"},
		{checkClock, "internal/window/a.go", "import \"time\"\nvar a, b = time.After(1), time.NewTicker(1)", 2, "timers"},
		{checkClock, deciding, "import \"time\"\nvar x = 3 * time.Second", 0, "a duration"},
		{checkClock, deciding, "var x = time.Now()", 0, "something else called time"},
		{checkClock, shell, "import \"time\"\nvar x = time.Now()", 0, "the shell may"},

		{checkDirection, "internal/replay/a_test.go", ours + `processor/rcaprocessor"`, 1, "even in a test"},
		{checkDirection, "internal/emit/a.go", ours + `cmd/demo"`, 1, "a command"},
		{checkDirection, "cmd/demo/a.go", ours + `processor/rcaprocessor"`, 0, "a command may"},

		{checkCall, "internal/call/a.go", ours + `internal/trace"`, 1, "ours"},
		{checkCall, "internal/call/a.go", `import "go.opentelemetry.io/collector/pdata/ptrace"`, 0, "pdata"},

		{checkConventions, shell, `const k = "db.namespace"`, 1, "a key"},
		{checkConventions, "cmd/demo/a.go", "var k = []string{`server.address`, \"http.route\"}", 2, "keys"},
		{checkConventions, shell, `const k = "rca.root_cause.node"`, 0, "ours"},
		{checkConventions, shell, `const k = "see db.namespace"`, 0, "prose"},
		{checkConventions, shell, `const k = "service.name"`, 0, "our own resource"},
		{checkConventions, "internal/call/a.go", `const k = "db.namespace"`, 0, "its place"},
		{checkConventions, "lab/a.go", `const k = "db.namespace"`, 0, "the lab sends them"},
		{checkConventions, "internal/simulate/a.go", `const k = "db.namespace"`, 0, "the simulator sends them"},
		{checkConventions, "internal/replay/a_test.go", `const k = "db.namespace"`, 0, "a test sends them"},

		{checkHeader, shell, "", 0, "with its header"},
		{checkLength, shell, long, 1, "too long"},
		{checkLength, "lab/x/a.go", long, 1, "too long in the lab"},
		{checkLength, "lab/x/a_test.go", long, 0, "a long test"},
		{checkLength, shell, "", 0, "short"},
	}
	for _, tt := range tests {
		t.Run(tt.path+" "+tt.description, func(t *testing.T) {
			s, err := parse(tt.path, []byte(header+"\npackage a\n"+tt.body+"\n"))
			if err != nil {
				t.Fatal(err)
			}
			if got := tt.check(s); len(got) != tt.wrong {
				t.Errorf("%d complaints, want %d: %q", len(got), tt.wrong, got)
			}
		})
	}
	for text, wrong := range map[string]int{
		"package a\n": 1,
		"// SPDX-License-Identifier: Apache-2.0\npackage a\n":        1,
		"// Code generated by mdatagen. DO NOT EDIT.\n\npackage a\n": 0,
	} {
		s, err := parse("a.go", []byte(text))
		if err != nil {
			t.Fatal(err)
		}
		if got := checkHeader(s); len(got) != wrong {
			t.Errorf("%q: %d complaints, want %d", text, len(got), wrong)
		}
	}
}
