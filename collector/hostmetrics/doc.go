// Package hostmetrics is a receiver of figures about this machine and the processes that this program started.
//
// It collects what tells whether AgentTrail has what it needs: CPU, load, memory, the disk of the data, the network and
// the processes' share of them, under the names of OpenTelemetry's semantic conventions. The receiver of the same kind
// in opentelemetry-collector-contrib reads far more and links the libraries for that; this one is a few hundred lines
// on gopsutil, which the memory limiter needs anyway.
package hostmetrics
