// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Command docs writes the pages that are made of what the code says and does: docs/attributes.md of the processors'
// tables, docs/incident-report.md of a recorded incident. A test sees to it that they are up to date.
package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
)

func main() {
	if err := run(context.Background(), "."); err != nil {
		fmt.Fprintln(os.Stderr, "docs:", err)
		os.Exit(1)
	}
}

// run writes the pages into a checkout of the repository.
func run(ctx context.Context, root string) error {
	pages, err := pagesOf(ctx, root)
	if err != nil {
		return err
	}
	for name, text := range pages {
		if err := os.WriteFile(filepath.Join(root, filepath.FromSlash(name)), []byte(text), 0o644); err != nil {
			return err
		}
	}
	return nil
}

// pagesOf returns the text of each page by its path in the repository.
func pagesOf(ctx context.Context, root string) (map[string]string, error) {
	record, err := resolvedOf(ctx, filepath.Join(root, "testdata", "incidents", recording))
	if err != nil {
		return nil, err
	}
	return map[string]string{
		"docs/attributes.md":      attributesPage(),
		"docs/incident-report.md": reportPage(record),
	}, nil
}
