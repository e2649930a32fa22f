// Package board describes Grafana's dashboards of AgentTrail, and writes them as Grafana exports them: ../*.json. Whoever only
// uses dashboards needs no more than those files; whoever changes them changes this package and runs "make generate".
//
// A dashboard is a list of panels with their queries, units and words; where they stand, colors and all else that Grafana
// wants to have follows from their kind. See [Overview] for an example.
package board
