package sizing

import (
	"errors"
	"fmt"
	"math"
	"time"
)

// Input is what arrives, and what is wanted.
type Input struct {
	SpansPerSecond    float64        // on average over the day
	Peak              float64        // the busiest minutes, as a multiple of the average
	LogsPerSpan       float64        // log records for each span
	SpansPerRun       float64        // spans of a run of an agent, with its request and its steps
	PointsPerSecond   float64        // metric points
	PaidRunsPerSecond float64        // runs that the ledger authorizes and captures
	Retention         map[string]int // days by table, of all tables of rows
	LedgerDays        int            // for how long transactions are planned for; the ledger removes none
	Replicas          int            // copies of each row in ClickHouse
	Outage            time.Duration  // for how long the journal holds everything while ClickHouse is away
	NodeCores         int            // of one ClickHouse server
	NodeDisk          float64        // of one, TB
}

// Validate names everything that cannot be meant.
func (in *Input) Validate() error {
	var errs []error
	at := func(ok bool, format string, args ...any) {
		if !ok {
			errs = append(errs, fmt.Errorf(format, args...))
		}
	}
	finite := func(v float64) bool { return v >= 0 && !math.IsInf(v, 0) && v <= 1e9 }
	at(in.SpansPerSecond > 0 && finite(in.SpansPerSecond), "spans per second must be more than 0 and at most a billion")
	at(in.Peak >= 1 && finite(in.Peak), "the peak is a multiple of the average: at least 1")
	at(finite(in.LogsPerSpan) && finite(in.PointsPerSecond) && finite(in.PaidRunsPerSecond), "log records, metric points and paid runs must not be negative")
	at(in.SpansPerRun >= 1 && finite(in.SpansPerRun), "a run has at least 1 span")
	at(in.Replicas >= 1 && in.Replicas <= 10, "replicas must be 1 to 10")
	at(in.Outage >= 0, "the outage must not be negative")
	at(in.NodeCores >= 1, "a ClickHouse server has at least 1 core")
	at(in.NodeDisk > 0 && finite(in.NodeDisk), "a ClickHouse server has a disk")
	for _, t := range tables {
		at(in.Retention[t.name] >= 1, "retention of %s: at least 1 day", t.name)
	}
	at(in.LedgerDays >= 1, "transactions are planned for at least 1 day")
	return errors.Join(errs...)
}

// Plan is what the input needs. Cores, memory and disks are those of one instance.
type Plan struct {
	SpansPerDay   float64 `json:"spansPerDay"`
	RowsPerSecond float64 `json:"rowsPerSecond"` // on average, of all tables of rows
	Parts         []Part  `json:"parts"`
	// Megabits per second at the peak: from the senders, to ClickHouse, and between its replicas.
	NetworkIn         float64 `json:"networkInMbit"`
	NetworkStored     float64 `json:"networkStoredMbit"`
	NetworkReplicated float64 `json:"networkReplicatedMbit"`
	// Stored are the tables of rows.
	Stored []Stored `json:"tables"`
	// Shards of ClickHouse, each with as many servers as there are replicas.
	Shards int `json:"shards"`
}

// Part is one kind of process.
type Part struct {
	Name      string  `json:"name"`
	Instances int     `json:"instances"`
	Cores     int     `json:"cores"`
	MemoryGiB float64 `json:"memoryGiB"`
	DiskGB    float64 `json:"diskGB"`
	Because   string  `json:"because"`
}

// Stored is what a table comes to.
type Stored struct {
	Table         string  `json:"table"`
	RowsPerSecond float64 `json:"rowsPerSecond"`
	Days          int     `json:"days"`
	Rows          float64 `json:"rows"`
	DiskGB        float64 `json:"diskGB"` // of one copy
}

const (
	secondsPerDay = 86_400
	gb            = 1e9
	micro         = 1e-6
	bitsPerMbit   = 1e6 / 8
)

// Compute makes the plan.
func Compute(in Input) (Plan, error) {
	if err := in.Validate(); err != nil {
		return Plan{}, fmt.Errorf("compute sizes: %w", err)
	}
	p := Plan{SpansPerDay: in.SpansPerSecond * secondsPerDay}
	var disk, storedPerSecond float64
	for _, t := range tables {
		s := Stored{Table: t.name, RowsPerSecond: t.rows(&in), Days: in.Retention[t.name]}
		s.Rows = s.RowsPerSecond * secondsPerDay * float64(s.Days)
		s.DiskGB = s.Rows * t.bytes / gb
		p.Stored = append(p.Stored, s)
		p.RowsPerSecond += s.RowsPerSecond
		disk += s.DiskGB
		storedPerSecond += s.RowsPerSecond * t.bytes
	}
	wire := in.SpansPerSecond * (1 + in.LogsPerSpan) * wireBytes.Value // bytes per second
	p.NetworkIn = wire * in.Peak / bitsPerMbit
	p.NetworkStored = p.NetworkIn / blockRatio.Value
	p.NetworkReplicated = storedPerSecond * in.Peak * float64(in.Replicas-1) / bitsPerMbit

	p.Parts = append(p.Parts, in.collectors(wire))
	clickHouse, shards := in.clickHouse(p.RowsPerSecond, disk)
	p.Shards = shards
	p.Parts = append(p.Parts, clickHouse)
	if in.Replicas > 1 {
		p.Parts = append(p.Parts, Part{Name: "Keeper", Instances: int(keepers.Value), Cores: 2, MemoryGiB: 4, DiskGB: 20, Because: "replicas agree through it; a start"})
	}
	p.Parts = append(p.Parts, in.ledger()...)
	return p, nil
}

// instances is how many of so many cores do the work, and at least as many as must be there when one is lost.
func (in *Input) instances(cores, each float64) int {
	return max(int(math.Ceil(cores/each)), min(in.Replicas, 2))
}

func (in *Input) collectors(wire float64) Part {
	cores := in.SpansPerSecond * in.Peak * collectorMicros.Value * micro / busy.Value
	n := in.instances(cores, collectorSize.Value)
	each := min(int(collectorSize.Value), max(1, int(math.Ceil(cores/float64(n)))))
	// The first eighth of a journal is not compressed.
	journal := wire * in.Peak * in.Outage.Seconds() / float64(n) / gb / (1.0/8 + 7.0/8*blockRatio.Value)
	return Part{
		Name: "collector", Instances: n, Cores: each,
		// The memory limiter begins to refuse at half of what there is.
		MemoryGiB: math.Ceil(2*collectorPeak.Value/1024*10) / 10, DiskGB: math.Ceil(journal/full.Value + 1),
		Because: fmt.Sprintf("%.1f cores at the peak; the journal holds %s of it", cores*busy.Value, in.Outage),
	}
}

func (in *Input) clickHouse(rows, disk float64) (part Part, shards int) {
	cores := rows * in.Peak * engineMicros.Value * micro / busy.Value // of one copy of everything
	byDisk := disk / full.Value / (in.NodeDisk * 1000)
	shards = max(1, int(math.Ceil(cores/float64(in.NodeCores))), int(math.Ceil(byDisk)))
	each := min(in.NodeCores, max(2, int(math.Ceil(cores/float64(shards)))))
	return Part{
		Name: "ClickHouse", Instances: shards * in.Replicas, Cores: each, MemoryGiB: float64(each) * coreMemory.Value,
		DiskGB:  math.Ceil(disk / full.Value / float64(shards)),
		Because: fmt.Sprintf("%d × %d: %.1f cores at the peak and %.0f GB for each copy of the rows", shards, in.Replicas, cores*busy.Value, math.Ceil(disk)),
	}, shards
}

func (in *Input) ledger() []Part {
	if in.PaidRunsPerSecond == 0 {
		return nil
	}
	disk := in.PaidRunsPerSecond * secondsPerDay * float64(in.LedgerDays) * paidRunBytes.Value / gb
	return []Part{
		{Name: "ledger", Instances: min(in.Replicas, 2), Cores: 2, MemoryGiB: 1, Because: "any number share one database; a start"},
		{
			Name: "Postgres", Instances: min(in.Replicas, 2), Cores: 4, MemoryGiB: 16, DiskGB: math.Ceil(disk/full.Value + 1),
			Because: fmt.Sprintf("%.0f GB of transactions in %d days; cores and memory are a start: measure with make bench-ledger", math.Ceil(disk), in.LedgerDays),
		},
	}
}
