// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package parts

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

func kafkaPID() (string, error) {
	dir, err := kafkaCache()
	return filepath.Join(dir, "running.pid"), err
}

// RememberKafka notes the process that runs a broker for RunningKafka, and
// returns the function that forgets it.
func RememberKafka(pid int) (forget func(), err error) {
	path, err := kafkaPID()
	if err != nil {
		return nil, err
	}
	return func() { _ = os.Remove(path) }, os.WriteFile(path, []byte(strconv.Itoa(pid)+"\n"), 0o644)
}

// RunningKafka returns the process that RememberKafka noted. A note left behind
// by a crash, whose number another program may have by now, is refused.
func RunningKafka() (int, error) {
	path, err := kafkaPID()
	if err != nil {
		return 0, err
	}
	b, err := os.ReadFile(path)
	if os.IsNotExist(err) {
		return 0, fmt.Errorf("no broker is running: %s does not exist", path)
	}
	if err != nil {
		return 0, err
	}
	pid, err := strconv.Atoi(strings.TrimSpace(string(b)))
	if err != nil {
		return 0, fmt.Errorf("%s: %w", path, err)
	}
	command, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid))
	if err != nil || !strings.Contains(string(command), "kafka\x00start") {
		_ = os.Remove(path)
		return 0, fmt.Errorf("no broker is running: the process of %s is gone", path)
	}
	return pid, nil
}
