package chserver

import "strings"

// contentType is the Content-Type of an output format (getContentType of the formats in src/Processors/Formats/Impl).
func contentType(format string) string {
	f := strings.ToLower(format)
	switch {
	case f == "jsoneachrow", f == "jsonlines", f == "ndjson", f == "jsonstringseachrow", f == "jsonobjecteachrow",
		strings.HasPrefix(f, "jsoneachrow"), strings.HasPrefix(f, "jsoncompacteachrow"), strings.HasPrefix(f, "jsoncompactstringseachrow"),
		strings.HasPrefix(f, "jsonstringseachrow"), f == "prettyjsoneachrow", f == "prettyjsonlines", f == "prettyndjson":
		if f == "jsonobjecteachrow" {
			return "application/json; charset=UTF-8"
		}
		return "application/x-ndjson; charset=UTF-8"
	case strings.HasPrefix(f, "json"):
		return "application/json; charset=UTF-8"
	case strings.HasPrefix(f, "tsv"), strings.HasPrefix(f, "tabseparated"):
		return "text/tab-separated-values; charset=UTF-8"
	case f == "csv":
		return "text/csv; charset=UTF-8; header=absent"
	case strings.HasPrefix(f, "csvwithnames"):
		return "text/csv; charset=UTF-8; header=present"
	case f == "xml":
		return "application/xml; charset=UTF-8"
	case f == "markdown":
		return "text/markdown; charset=UTF-8"
	case f == "prometheus":
		return "text/plain; version=0.0.4; charset=UTF-8"
	case strings.HasPrefix(f, "rowbinary"), f == "native", f == "parquet", f == "orc", f == "avro", f == "msgpack",
		strings.HasPrefix(f, "arrow"), strings.HasPrefix(f, "protobuf"), f == "capnproto", f == "bsoneachrow", f == "npy",
		f == "buffers":
		return "application/octet-stream"
	}
	return "text/plain; charset=UTF-8"
}

// outputKeywords begin statements that have a result, besides SELECT.
var outputKeywords = map[string]bool{
	"SHOW": true, "DESCRIBE": true, "DESC": true, "EXISTS": true, "EXPLAIN": true, "CHECK": true, "KILL": true,
	"BACKUP": true, "RESTORE": true,
}

// rowFormats are output formats that are rows one after the other, with nothing before, between or after them. All other
// formats are documents.
var rowFormats = map[string]bool{
	"tabseparated": true, "tsv": true, "tabseparatedraw": true, "tsvraw": true, "raw": true, "tskv": true, "csv": true,
	"jsoneachrow": true, "jsonlines": true, "ndjson": true, "prettyjsoneachrow": true, "prettyjsonlines": true, "prettyndjson": true,
	"jsonstringseachrow": true, "jsoncompacteachrow": true, "jsoncompactstringseachrow": true,
	"rowbinary": true, "native": true, "msgpack": true, "bsoneachrow": true, "protobuf": true, "lineasstring": true,
	"rawblob": true, "null": true,
}

// isRowFormat says if blocks of a result in this format can be put one after the other.
func (q *request) isRowFormat(format string) bool {
	if !rowFormats[strings.ToLower(format)] {
		return false
	}
	// This setting makes a document of the rows; where it stands in the statement is not looked at closely.
	const arrayOfRows = "output_format_json_array_of_rows"
	return !parseBool(q.settings[arrayOfRows]) && !strings.Contains(q.st.text, arrayOfRows)
}
