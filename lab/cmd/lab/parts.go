// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"fmt"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/firebreak-otel/firebreak/lab/internal/network"
	"github.com/firebreak-otel/firebreak/lab/internal/parts"
	"github.com/spf13/cobra"
)

func depsCommand() *cobra.Command {
	return &cobra.Command{
		Use:   "deps",
		Short: "Install PostgreSQL 15 and Redis from Debian's packages (needs root)",
		Args:  cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			_, noPostgres := parts.PostgresPrograms()
			_, noRedis := exec.LookPath("redis-server")
			if noPostgres == nil && noRedis == nil {
				say("PostgreSQL and Redis are installed already")
				return nil
			}
			for _, args := range [][]string{{"update", "-q"}, {"install", "-y", "-q", "--no-install-recommends", "postgresql-15", "redis-server"}} {
				apt := exec.CommandContext(cmd.Context(), "apt-get", args...)
				apt.Env = append(os.Environ(), "DEBIAN_FRONTEND=noninteractive")
				apt.Stdout, apt.Stderr = os.Stderr, os.Stderr
				if err := apt.Run(); err != nil {
					return fmt.Errorf("apt-get %s: %w: run it as root, or install PostgreSQL 15 and redis-server by other means", args[0], err)
				}
			}
			return nil
		},
	}
}

func kafkaCommand() *cobra.Command {
	cmd := &cobra.Command{Use: "kafka", Short: "Fetch, start or stop Apache Kafka"}
	cmd.AddCommand(
		&cobra.Command{
			Use: "fetch", Short: "Download the broker into the user's cache directory", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				jars, err := parts.FetchKafka(cmd.Context(), say)
				if err == nil {
					say("Apache Kafka %s is in %s", parts.KafkaVersion, jars)
				}
				return err
			},
		},
		&cobra.Command{
			Use: "start", Short: "Run a broker on loopback in the foreground until Ctrl-C or \"lab kafka stop\"", Args: cobra.NoArgs,
			RunE: func(cmd *cobra.Command, _ []string) error {
				jars, err := parts.FetchKafka(cmd.Context(), say)
				if err != nil {
					return err
				}
				scratch, err := os.MkdirTemp("", "firebreak-kafka-")
				if err != nil {
					return err
				}
				defer func() { _ = os.RemoveAll(scratch) }()
				const address = "127.0.0.1"
				k, err := parts.StartKafka(cmd.Context(), jars, scratch, address, address)
				if err != nil {
					return err
				}
				defer k.Stop()
				forget, err := parts.RememberKafka(os.Getpid())
				if err != nil {
					return err
				}
				defer forget()
				say("%s listens on %s:%s", k.Version, address, network.BrokerPort)
				<-cmd.Context().Done()
				return nil
			},
		},
		&cobra.Command{
			Use: "stop", Short: "Stop the broker that \"lab kafka start\" runs", Args: cobra.NoArgs,
			RunE: func(*cobra.Command, []string) error {
				pid, err := parts.RunningKafka()
				if err != nil {
					return err
				}
				if err := syscall.Kill(pid, syscall.SIGTERM); err != nil {
					return fmt.Errorf("stop the broker, process %d: %w", pid, err)
				}
				for range 100 {
					if syscall.Kill(pid, 0) != nil {
						return nil
					}
					time.Sleep(100 * time.Millisecond)
				}
				return fmt.Errorf("the broker, process %d, has not ended after 10 s", pid)
			},
		},
	)
	return cmd
}
