// Package dashboards has no code of its own: it is the Grafana dashboards, Prometheus rules and provisioning of AgentTrail, and
// their tests. README.md says how to use them.
package dashboards
