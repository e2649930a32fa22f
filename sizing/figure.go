package sizing

// Figure is a number that plans are made of.
type Figure struct {
	Name  string
	Value float64
	Unit  string
	// Source is the command that measures it; empty for a choice.
	Source string
	// About says what it includes, or why it was chosen.
	About string
}

// What was measured. Traffic is that of bench/ingest: runs of a request, six steps and four log records, 1,172 bytes a row.
var (
	collectorMicros = Figure{"collector", 10.4, "µs of CPU per span", "make bench", "from the socket to the answer of ClickHouse, journal included, with the span's share of log records; median on two cores"}
	engineMicros    = Figure{"ClickHouse", 25.7, "µs of CPU per row", "make bench", "INSERT, materialized views, and the merges that began meanwhile; median on two cores"}
	wireBytes       = Figure{"wire", 1172, "bytes per span or log record", "make bench", "OTLP as it arrives, not compressed"}
	blockRatio      = Figure{"compression", 3.2, "times smaller", "make bench", "LZ4 frames, as they go into a journal that fills and to ClickHouse; docs/performance.md"}
	collectorPeak   = Figure{"collector's memory", 580, "MiB", "make bench", "at most, through pdata, while as much was sent as it took"}
)

// What is chosen, so that the plan holds when something happens. Nobody has measured these.
var (
	busy          = Figure{"busy", 0.5, "of the cores at the peak", "", "the rest is for questions, for merges of older parts, and for what comes back after an outage"}
	full          = Figure{"full", 0.6, "of a disk", "", "the rest is for merges, which write before they remove"}
	collectorSize = Figure{"collector's cores", 4, "cores", "", "one instance; more spans are more instances"}
	coreMemory    = Figure{"ClickHouse's memory", 4, "GiB per core", "", "questions and the page cache"}
	keepers       = Figure{"Keeper", 3, "servers", "", "a majority must stay when one is lost; only with replicas"}
)

// Figures are all of them, in the order of the document; bytes per row come after those that were measured.
func Figures() []Figure {
	list := []Figure{collectorMicros, engineMicros, wireBytes, blockRatio, collectorPeak}
	for _, t := range tables {
		list = append(list, Figure{t.name, t.bytes, "bytes per row on disk", t.source, t.about})
	}
	return append(list, paidRunBytes, busy, full, collectorSize, coreMemory, keepers)
}
