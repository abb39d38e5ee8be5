// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Command accuracy measures how often Explain names the guilty service of labelled incidents, beside two
// simple references, and prints and writes a table. See docs/accuracy.md.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"time"
)

type options struct {
	dataset string
	out     string
	only    string
	logs    bool
	places  bool
	joined  bool
	kinds   bool
	explain bool
	ablate  bool
	without []string
	sample  int
}

func main() {
	if err := run(os.Args[1:], os.Stdout, os.Stderr); err != nil && !errors.Is(err, flag.ErrHelp) {
		fmt.Fprintln(os.Stderr, "accuracy:", err)
		os.Exit(1)
	}
}

func run(args []string, stdout, stderr io.Writer) error {
	var o options
	var without string
	f := flag.NewFlagSet("accuracy", flag.ContinueOnError)
	f.SetOutput(stderr)
	f.StringVar(&o.dataset, "dataset", "", "folder with labels.json")
	f.StringVar(&o.out, "out", "", "file for the results as JSON")
	f.StringVar(&o.only, "only", "", "only the cases whose id contains this")
	f.BoolVar(&o.logs, "logs", true, "use log records")
	f.BoolVar(&o.places, "places", true, "leave in log texts which statement wrote them (name.of.class#12); false strips it")
	f.BoolVar(&o.joined, "joined", true, "leave trace and span ids in log records; false takes them off")
	f.BoolVar(&o.kinds, "kinds", true, "trust span kinds; false takes them off every span")
	f.IntVar(&o.sample, "sample", 1, "keep one in so many traces")
	f.BoolVar(&o.explain, "explain", false, "print the evidence against the first three, and against the right one")
	f.BoolVar(&o.ablate, "ablation", false, "print how often the right service is first without each family of evidence")
	f.StringVar(&without, "without", "", "families of evidence to leave out, with commas: own_time,gap,structure,errors,logs")
	if err := f.Parse(args); err != nil {
		return err
	}
	if o.dataset == "" {
		return errors.New("no data set: say -dataset=folder, one with labels.json in it")
	}
	if without != "" {
		o.without = strings.Split(without, ",")
	}
	set, err := loadLabels(o.dataset)
	if err != nil {
		return err
	}
	started := time.Now()
	results, err := evaluate(set, o, stdout, stderr)
	if err != nil {
		return err
	}
	sets := summarise(results)
	printSets(stdout, sets)
	if o.ablate {
		printAblation(stdout, results)
	}
	fmt.Fprintf(stderr, "%d cases in %s\n", len(results), time.Since(started).Round(time.Second))
	if o.out == "" {
		return nil
	}
	return writeJSON(o.out, sets)
}
