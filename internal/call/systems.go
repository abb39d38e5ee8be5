// Copyright The Firebreak Authors
// SPDX-License-Identifier: Apache-2.0

package call

import "strings"

// databaseSystem maps the former names of db.system to those of db.system.name.
func databaseSystem(s string) string {
	switch s {
	case "postgres", "pgsql":
		return "postgresql"
	case "mssql", "mssqlcompact", "sqlserver":
		return "microsoft.sql_server"
	case "oracle":
		return "oracle.db"
	case "db2":
		return "ibm.db2"
	case "informix":
		return "ibm.informix"
	case "netezza":
		return "ibm.netezza"
	case "dynamodb":
		return "aws.dynamodb"
	case "redshift":
		return "aws.redshift"
	case "cosmosdb":
		return "azure.cosmosdb"
	case "spanner":
		return "gcp.spanner"
	case "hanadb":
		return "sap.hana"
	case "maxdb":
		return "sap.maxdb"
	case "h2":
		return "h2database"
	case "firebird":
		return "firebirdsql"
	case "ingres":
		return "actian.ingres"
	case "adabas":
		return "softwareag.adabas"
	case "intersystems":
		return "intersystems_cache"
	case "mongo":
		return "mongodb"
	}
	return s
}

// databaseName is the part of db.namespace that names the database. PostgreSQL instrumentations
// that know the schema send database|schema, those that do not the database alone: one node.
func databaseName(system, namespace string) string {
	if system == "postgresql" {
		namespace, _, _ = strings.Cut(namespace, "|")
	}
	return namespace
}

// messagingSystem maps former names of messaging.system.
func messagingSystem(s string) string {
	switch s {
	case "AmazonSQS", "AmazonSqs", "sqs":
		return "aws_sqs"
	case "AmazonSNS", "sns":
		return "aws.sns"
	case "azure_eventhubs":
		return "eventhubs"
	case "azure_servicebus":
		return "servicebus"
	}
	return clip(s)
}

// destinationURL is the place of messaging.url in the row of destinations.
const destinationURL = 4

// destination is the queue or topic; empty when it lives only as long as one client.
func (r *raw) destination() string {
	name := r.mqDestination.value
	if r.mqTemporary || isTemporary(name) {
		return r.mqTemplate
	}
	if r.mqTemplate != "" {
		return r.mqTemplate
	}
	if r.mqDestination.rank == destinationURL {
		if host := hostOfURL(name); host != "" {
			_, name, _ = cutLast(strings.TrimSuffix(name, "/"), '/')
		}
	}
	return name
}

// isTemporary knows the names that instrumentations and brokers give to destinations of one client.
func isTemporary(name string) bool {
	switch name {
	case "(temporary)", "(anonymous)", "<generated>":
		return true
	}
	return strings.HasPrefix(name, "amq.gen-")
}

// messagingVerb maps what instrumentations call an operation on messages to its type. Without one
// the span's kind tells.
func messagingVerb(operation string, role Role) string {
	switch operation {
	case "":
		switch role {
		case RoleProducer:
			return "send"
		case RoleConsumer:
			return "process"
		}
		return ""
	case "publish", "send", "produce", "Publish", "Send":
		return "send"
	case "receive", "poll", "pull", "consume", "fetch", "get", "subscribe", "Receive", "Consume":
		return "receive"
	case "process", "deliver", "handle", "Process":
		return "process"
	case "settle", "ack", "nack", "acknowledge", "commit", "complete", "abandon", "reject", "defer", "dead_letter":
		return "settle"
	}
	return clip(operation)
}
