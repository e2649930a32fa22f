// Package chread reads telemetry from ClickHouse for the ledger: what runs used, how agents did, and how users use them; and
// writes there how the two agree, for dashboards.
//
// It is the only part of the ledger that knows ClickHouse, and only cmd wires it: money does not depend on telemetry.
package chread
