// Package otlp is the receiver of OTLP over gRPC and HTTP of AgentTrail's distribution. It has the settings of the
// collector's standard receiver and its name, and one setting more, direct: whether protobuf requests go to the
// agenttrail exporter as the bytes that arrived, without being decoded into pdata first, which costs more than
// everything else that becomes of them.
//
// That works when nothing in the pipelines of the receiver reads or changes data. Package choice finds out; where it
// does not run, or says no, the standard receiver is used.
package otlp
