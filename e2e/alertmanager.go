// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"
)

// alertName is the rule of ours that is watched.
const alertName = "FirebreakIncidentOpen"

// webhook is the receiver that Alertmanager notifies: what would page somebody.
type webhook struct {
	server *http.Server
	mu     sync.Mutex
	alerts []alert
}

// alert as Alertmanager tells it, in a notification or by its API.
type alert struct {
	Status      any // firing or resolved in a notification
	Labels      map[string]string
	Annotations map[string]string
	StartsAt    time.Time
	EndsAt      time.Time
}

func (w *webhook) listen(address string) error {
	l, err := net.Listen("tcp", address)
	if err != nil {
		return err
	}
	w.server = &http.Server{Handler: w, ReadHeaderTimeout: time.Minute}
	go func() { _ = w.server.Serve(l) }() // ends by close
	return nil
}

func (w *webhook) close() {
	if w.server != nil {
		_ = w.server.Close()
	}
}

func (w *webhook) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	var n struct{ Alerts []alert }
	if err := json.NewDecoder(r.Body).Decode(&n); err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.alerts = append(w.alerts, n.Alerts...)
}

// last is the newest that was notified of our alert.
func (w *webhook) last(name, status string) (alert, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for i := len(w.alerts) - 1; i >= 0; i-- {
		if w.alerts[i].Labels["alertname"] == name {
			return w.alerts[i], w.alerts[i].Status == status
		}
	}
	return alert{}, false
}

func (s *stage) startAlertmanager(ctx context.Context) error {
	hook, err := freeAddresses(1)
	if err != nil {
		return err
	}
	if err := s.hook.listen(hook[0]); err != nil {
		return err
	}
	config := filepath.Join(s.out, "alertmanager.yaml")
	text := fmt.Sprintf(`route: {receiver: hook, group_by: [alertname], group_wait: 1s, group_interval: 2s}
receivers:
  - name: hook
    webhook_configs: [{url: "http://%s/", send_resolved: true}]
`, hook[0])
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		return err
	}
	fmt.Printf("  ran   %s --config.file=%s --web.listen-address=%s\n", s.alertmanager, config, s.alertmanagerAt)
	run := append(asInstalled(s.alertmanager), "--config.file="+config, "--web.listen-address="+s.alertmanagerAt,
		"--cluster.listen-address=", "--storage.path="+filepath.Join(s.out, "alertmanager"))
	_, err = s.launch(ctx, "alertmanager", func() error { return get(ctx, false, s.alertsURL(), nil) }, nil, run[0], run[1:]...)
	return err
}

// templates are what Debian's Alertmanager looks for at its start.
const templates = "/usr/share/prometheus/alertmanager/default.tmpl"

// asInstalled is the command that runs the binary. Where the package is unpacked in the cache and not installed, its
// /usr/share takes the place of the system's, for this process alone.
func asInstalled(binary string) []string {
	if _, err := os.Stat(templates); err == nil {
		return []string{binary}
	}
	share := filepath.Join(filepath.Dir(binary), "..", "share")
	return []string{"unshare", "--map-root-user", "--mount", "sh", "-c", `mount --bind "$0" /usr/share && exec "$@"`, share, binary}
}

func (s *stage) alertsURL() string {
	return "http://" + s.alertmanagerAt + `/api/v2/alerts?filter=alertname="` + alertName + `"`
}

// alertFires asks Alertmanager for the alert, and waits for its notification.
func (s *stage) alertFires(ctx context.Context) error {
	var alerts []alert
	fmt.Printf("  asked GET %s\n", s.alertsURL())
	if err := eventually(ctx, soon, func() error {
		if err := get(ctx, false, s.alertsURL(), &alerts); err != nil || len(alerts) > 0 {
			return err
		}
		return errNone
	}); err != nil {
		return err
	}
	got("%s, since %s: %s %s", alerts[0].Labels["alertname"], alerts[0].StartsAt.Format(time.TimeOnly),
		alerts[0].Annotations["summary"], alerts[0].Annotations["description"])
	return s.notified(ctx, "firing", soon)
}

// alertResolves waits until Alertmanager takes the alert back.
func (s *stage) alertResolves(ctx context.Context) error {
	if err := s.notified(ctx, "resolved", untilResolved); err != nil {
		return err
	}
	var alerts []alert
	if err := get(ctx, true, s.alertsURL(), &alerts); err != nil {
		return err
	}
	if len(alerts) > 0 {
		return fmt.Errorf("the alert is still there: %v", alerts)
	}
	got("no alert")
	return nil
}

func (s *stage) notified(ctx context.Context, status string, limit time.Duration) error {
	fmt.Printf("  waits for a notification of %s by webhook, %s ...\n", alertName, status)
	return eventually(ctx, limit, func() error {
		a, ok := s.hook.last(alertName, status)
		if !ok {
			return fmt.Errorf("the last notification says %v, should say %s", a.Status, status)
		}
		until := ""
		if status == "resolved" {
			until = " to " + a.EndsAt.Format(time.TimeOnly)
		}
		got("%s, %s%s", status, a.StartsAt.Format(time.TimeOnly), until)
		return nil
	})
}
