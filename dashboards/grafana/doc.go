// Package grafana does with a dashboard what Grafana and its data source plugins do: it reads the file, puts values into
// variables, and expands macros, so that a test can send every query of a dashboard to the databases that it is for. What
// macros and formats of variables become is what Grafana's and the plugins' documentation says:
//
//   - the official ClickHouse plugin, "ClickHouse query editor" and "ClickHouse template variables", version 4;
//   - Grafana's PostgreSQL data source, "PostgreSQL query editor";
//   - Grafana, "Variable syntax" and "Global variables".
//
// A macro, a variable or a format that is not known here is an error.
package grafana
