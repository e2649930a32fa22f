// Package backup writes the rows of both databases, and the folders of journals, into one folder of plain files, and puts
// them back into empty databases.
//
// A folder holds Native files of ClickHouse's tables, one for each partition, files of Postgres' COPY, copies of journals,
// and manifest.json, which comes last and has the size and SHA-256 of every file. Materialized states are copied as they
// are and not computed anew, so percentiles of runs that are past their retention stay.
//
// The collector must not store rows meanwhile, because tables are read one after the other. A folder is made only if it
// did not.
package backup
