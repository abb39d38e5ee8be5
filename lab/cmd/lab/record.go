// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"text/tabwriter"
	"time"

	"github.com/firebreak-otel/firebreak/lab/internal/faults"
	"github.com/firebreak-otel/firebreak/lab/internal/inspect"
	"github.com/firebreak-otel/firebreak/lab/internal/parts"
	"github.com/firebreak-otel/firebreak/lab/internal/services"
	"github.com/firebreak-otel/firebreak/lab/internal/session"
	"github.com/spf13/cobra"
)

func recordCommand() *cobra.Command {
	o := session.Options{Log: say, Customers: parts.Customers}
	var name, out string
	cmd := &cobra.Command{
		Use:   "record --fault NAME",
		Short: "Run the shop, inject a fault, heal it, and write traces, logs and the truth",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			f, err := faults.Find(name)
			if err != nil {
				return err
			}
			for flag, d := range map[string]time.Duration{"warm-up": o.WarmUp, "healthy": o.Healthy, "fault-for": o.FaultFor, "heal": o.Heal} {
				if d <= 0 {
					return fmt.Errorf("--%s is %s, must be positive", flag, d)
				}
			}
			if o.Rate <= 0 || o.Checkouts < 0 || o.Checkouts > 1 {
				return fmt.Errorf("--rate must be positive and --checkouts within 0..1, got %g and %g", o.Rate, o.Checkouts)
			}
			if o.Broker != "" && o.Kfake {
				return errors.New("--broker names a broker and --kfake starts one: choose")
			}
			o.Fault, o.Out = f, filepath.Join(out, f.Name)
			return session.Run(cmd.Context(), o)
		},
	}
	fs := cmd.Flags()
	fs.StringVar(&name, "fault", "", "what to break, see \"lab faults\"")
	fs.StringVar(&out, "out", "../testdata/incidents", "directory that gets a directory of the fault's name")
	fs.DurationVar(&o.WarmUp, "warm-up", 6*time.Second, "load before the recording")
	fs.DurationVar(&o.Healthy, "healthy", 75*time.Second, "how long to record before the fault")
	fs.DurationVar(&o.FaultFor, "fault-for", 25*time.Second, "how long the fault lasts")
	fs.DurationVar(&o.Heal, "heal", 50*time.Second, "how long to record after it")
	fs.Float64Var(&o.Rate, "rate", 20, "customers' requests per second")
	fs.Float64Var(&o.Checkouts, "checkouts", 0.6, "share of checkouts among the requests, the rest browse")
	fs.Uint64Var(&o.Seed, "seed", 1, "seed of the load")
	fs.StringVar(&o.Broker, "broker", "", "host:port of a Kafka broker that runs already, such as that of \"lab kafka start\"; without it, one is started")
	fs.BoolVar(&o.Kfake, "kfake", false, "use the stand-in broker even where Apache Kafka could run")
	fs.StringSliceVar(&o.Forward, "forward", nil, "host:port of an OTLP/gRPC receiver that gets everything at once, as the services send it; may be repeated")
	_ = cmd.MarkFlagRequired("fault")
	return cmd
}

func faultsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "faults",
		Short: "List the faults",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			for _, f := range faults.All() {
				_, _ = fmt.Fprintf(w, "%s\t%s\n", f.Name, f.Description)
			}
			return w.Flush()
		},
	}
}

func inspectCommand() *cobra.Command {
	var step time.Duration
	var all bool
	cmd := &cobra.Command{
		Use:   "inspect DIR",
		Short: "Print requests, failures and latencies of a recording over time",
		Args:  cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			if step <= 0 {
				return fmt.Errorf("--step is %s, must be positive", step)
			}
			t, err := inspect.Load(args[0], step)
			if err != nil {
				return err
			}
			return t.Print(os.Stdout, all)
		},
	}
	cmd.Flags().DurationVar(&step, "step", 5*time.Second, "length of one line")
	cmd.Flags().BoolVar(&all, "all", false, "show every span name, not only entries and those that failed")
	return cmd
}

func serviceCommand() *cobra.Command {
	return &cobra.Command{
		Use:    "service ROLE",
		Short:  "Run one of the shop's processes (started by record)",
		Hidden: true,
		Args:   cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			return services.Run(cmd.Context(), args[0])
		},
	}
}
