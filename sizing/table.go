package sizing

// table is a table of rows with what a row of it takes.
type table struct {
	name   string
	bytes  float64 // per row, on disk, of one copy
	rows   func(in *Input) float64
	source string
	about  string
}

const (
	perTable = "make bench ARGS=-keep"
	points   = "agenttrail up"
)

// errorsPerRun is how many rows of SystemErrors a run makes.
const errorsPerRun = 0.1

// tables are those that grow with what arrives. The states of AgentMetrics and usage grow with agents, users and hours.
var tables = []table{
	{"Span", 214, func(in *Input) float64 { return in.SpansPerSecond }, perTable, "of which half is text that was sent to models and came back"},
	{"AgentLog", 97, func(in *Input) float64 { return in.SpansPerSecond * in.LogsPerSpan }, perTable, "text of one line"},
	{"AgentExecution", 248, func(in *Input) float64 { return in.SpansPerSecond / in.SpansPerRun }, perTable, "one row per run"},
	{"RequestLog", 126, func(in *Input) float64 { return in.SpansPerSecond / in.SpansPerRun }, perTable, "one row per request, counted as one per run"},
	{"SystemErrors", 194, func(in *Input) float64 { return in.SpansPerSecond / in.SpansPerRun * errorsPerRun }, perTable, "one row for each tenth run, as in the traffic that was measured"},
	{"SystemMetrics", 58, func(in *Input) float64 { return in.PointsPerSecond }, points, "of the first 295 points; fewer when there are many"},
}

var paidRunBytes = Figure{"paid run", 3663, "bytes in Postgres", "go test ./sizing -run '^$' -bench PaidRun", "a run that is authorized and captured: transaction, hold, posting, audit trail, idempotency keys, and their indexes"}
