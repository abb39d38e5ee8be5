// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

// Command lab runs a small real shop, breaks it, and records its telemetry.
package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	"github.com/spf13/cobra"
)

// Children die with the thread that started them (the kernel's parent-death
// signal), so all are started from the main one, which lives longest.
func init() { runtime.LockOSThread() }

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := root().ExecuteContext(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "lab:", err)
		stop()
		os.Exit(1)
	}
}

func root() *cobra.Command {
	cmd := &cobra.Command{
		Use:           "lab",
		Short:         "A small real shop, real faults, and a recorder of what they look like in telemetry",
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	cmd.AddCommand(recordCommand(), faultsCommand(), inspectCommand(), depsCommand(), kafkaCommand(), serviceCommand())
	return cmd
}

// say prints progress for a person.
func say(format string, args ...any) {
	_, _ = fmt.Fprintf(os.Stderr, "lab: "+format+"\n", args...)
}
