//go:build race

package agenttrailexporter

// raceDetector says whether the race detector watches.
const raceDetector = true
