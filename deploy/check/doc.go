// Package check has the tests of what is in deploy: the Helm chart, the compose file, the Dockerfile, the systemd units. It is a
// module of its own, so that Helm and the types of Kubernetes do not enter the product's.
//
// Configurations that the files make are checked by the program itself: bin/agenttrail of the checkout, which "make build"
// makes, or the one that AGENTTRAIL_BIN names.
package check
