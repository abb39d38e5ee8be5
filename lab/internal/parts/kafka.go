// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package parts

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/firebreak-otel/firebreak/lab/internal/network"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// KafkaVersion is the release of Apache Kafka that the lab fetches.
const KafkaVersion = "4.1.0"

// ErrNoKafka says why the real broker cannot run here.
var ErrNoKafka = errors.New("no Apache Kafka")

// pom names Kafka's runtime by its Maven coordinates.
const pom = `<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>firebreak.lab</groupId>
  <artifactId>kafka-runtime</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>` + KafkaVersion + `</version>
    </dependency>
  </dependencies>
</project>
`

// kafkaCache is where the jars are kept between runs.
func kafkaCache() (string, error) {
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", fmt.Errorf("%w: no cache directory: %w", ErrNoKafka, err)
	}
	return filepath.Join(cache, "firebreak-lab", "kafka-"+KafkaVersion), nil
}

// FetchKafka downloads the broker unless the cache has it, and returns the
// directory of its jars.
func FetchKafka(ctx context.Context, log func(string, ...any)) (string, error) {
	if _, err := exec.LookPath("java"); err != nil {
		return "", fmt.Errorf("%w: Java is missing (apt-get install openjdk-17-jre-headless)", ErrNoKafka)
	}
	dir, err := kafkaCache()
	if err != nil {
		return "", err
	}
	jars := filepath.Join(dir, "jars")
	if _, err := os.Stat(filepath.Join(dir, "complete")); err == nil {
		return jars, nil
	}
	mvn, err := exec.LookPath("mvn")
	if err != nil {
		return "", fmt.Errorf("%w: Maven is missing (apt-get install maven) and the cache %s is empty", ErrNoKafka, dir)
	}
	if err := os.MkdirAll(jars, 0o755); err != nil {
		return "", err
	}
	if err := os.WriteFile(filepath.Join(dir, "pom.xml"), []byte(pom), 0o644); err != nil {
		return "", err
	}
	log("fetching Apache Kafka %s with Maven into %s (about 45 MB)", KafkaVersion, dir)
	cmd := exec.CommandContext(ctx, mvn, "-q", "-B", "dependency:copy-dependencies", "-DoutputDirectory="+jars)
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return "", fmt.Errorf("%w: Maven: %w: %s", ErrNoKafka, err, out)
	}
	return jars, os.WriteFile(filepath.Join(dir, "complete"), nil, 0o644)
}

// Kafka is a single broker in KRaft mode.
type Kafka struct {
	*Process
	// Version is what truth files call it, such as "apache-kafka 4.1.0".
	Version string
}

// StartKafka formats a log directory in scratch and starts a broker on address,
// known to its clients as advertised.
func StartKafka(ctx context.Context, jars, scratch, address, advertised string) (*Kafka, error) {
	config := filepath.Join(scratch, "kafka.properties")
	text := strings.Join([]string{
		"process.roles=broker,controller",
		"node.id=1",
		"controller.quorum.voters=1@" + address + ":9093",
		"listeners=PLAINTEXT://" + address + ":" + network.BrokerPort + ",CONTROLLER://" + address + ":9093",
		"advertised.listeners=PLAINTEXT://" + advertised + ":" + network.BrokerPort,
		"listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
		"controller.listener.names=CONTROLLER",
		"inter.broker.listener.name=PLAINTEXT",
		"log.dirs=" + filepath.Join(scratch, "kafka-data"),
		"offsets.topic.replication.factor=1",
		"offsets.topic.num.partitions=1",
		"transaction.state.log.replication.factor=1",
		"transaction.state.log.min.isr=1",
		"share.coordinator.state.topic.replication.factor=1",
		"share.coordinator.state.topic.min.isr=1",
		"group.initial.rebalance.delay.ms=0",
		"",
	}, "\n")
	if err := os.WriteFile(config, []byte(text), 0o644); err != nil {
		return nil, err
	}
	java := func(ctx context.Context, args ...string) *exec.Cmd {
		args = append([]string{"-Xms384m", "-Xmx384m", "-XX:+UseSerialGC", "-cp", filepath.Join(jars, "*")}, args...)
		cmd := exec.CommandContext(ctx, "java", args...)
		cmd.Dir, cmd.Env = scratch, []string{"PATH=" + os.Getenv("PATH")}
		return cmd
	}
	if out, err := java(ctx, "kafka.tools.StorageTool", "format", "-t", "MkU3OEVBNTcwNTJENDM2Qg", "-c", config).CombinedOutput(); err != nil {
		return nil, fmt.Errorf("%w: format: %w: %s", ErrNoKafka, err, out)
	}
	// Stop ends the broker, not ctx: the services are to go first.
	p, err := StartProcess(scratch, "kafka", java(context.WithoutCancel(ctx), "kafka.Kafka", config))
	if err != nil {
		return nil, err
	}
	k := &Kafka{Process: p, Version: "apache-kafka " + KafkaVersion}
	if err := p.Await(60*time.Second, func() error { return answers(address, network.BrokerPort) }); err != nil {
		k.Stop()
		return nil, err
	}
	return k, nil
}

// CreateTopic makes the topic as soon as the broker takes requests.
func (k *Kafka) CreateTopic(ctx context.Context, hosts network.Hosts, topic string, partitions int32) error {
	admin, err := admin(hosts)
	if err != nil {
		return err
	}
	defer admin.Close()
	return k.Await(60*time.Second, func() error { return createTopic(ctx, admin, topic, partitions) })
}

// UseBroker makes the topic on a broker that runs already, unless it is there,
// and says what truth files call that broker.
func UseBroker(ctx context.Context, hosts network.Hosts, topic string, partitions int32) (version string, err error) {
	admin, err := admin(hosts)
	if err != nil {
		return "", err
	}
	defer admin.Close()
	if err := createTopic(ctx, admin, topic, partitions); err != nil && !errors.Is(err, kerr.TopicAlreadyExists) {
		return "", err
	}
	versions, err := admin.ApiVersions(ctx)
	if err != nil {
		return "", err
	}
	for _, v := range versions.Sorted() {
		return "kafka " + v.VersionGuess(), v.Err
	}
	return "", errors.New("no broker answers")
}

func admin(hosts network.Hosts) (*kadm.Client, error) {
	d := network.Dialer{Hosts: hosts, Instance: -1}
	return kadm.NewOptClient(kgo.SeedBrokers(net.JoinHostPort(network.Broker, network.BrokerPort)), kgo.Dialer(d.DialContext))
}

func createTopic(ctx context.Context, c *kadm.Client, topic string, partitions int32) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	answer, err := c.CreateTopics(ctx, partitions, 1, nil, topic)
	if err != nil {
		return err
	}
	return answer[topic].Err
}

// Stop ends the broker.
func (k *Kafka) Stop() { k.Process.Stop(syscall.SIGTERM, 5*time.Second) }
