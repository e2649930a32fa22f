package board

// These are the parts of Grafana's dashboard model, version 1, that our dashboards use, named as in its schema.

// Dashboard is a dashboard as Grafana imports and exports it.
type Dashboard struct {
	Annotations          annotations `json:"annotations"`
	Description          string      `json:"description"`
	Editable             bool        `json:"editable"`
	FiscalYearStartMonth int         `json:"fiscalYearStartMonth"`
	GraphTooltip         int         `json:"graphTooltip"`
	ID                   *int        `json:"id"`
	Links                []link      `json:"links"`
	Panels               []*Panel    `json:"panels"`
	Refresh              string      `json:"refresh"`
	SchemaVersion        int         `json:"schemaVersion"`
	Tags                 []string    `json:"tags"`
	Templating           templating  `json:"templating"`
	Time                 timeRange   `json:"time"`
	TimePicker           struct{}    `json:"timepicker"`
	TimeZone             string      `json:"timezone"`
	Title                string      `json:"title"`
	UID                  string      `json:"uid"`
	Version              int         `json:"version"`
	WeekStart            string      `json:"weekStart"`
}

type annotations struct {
	List []annotation `json:"list"`
}

type annotation struct {
	BuiltIn    int        `json:"builtIn"`
	DataSource DataSource `json:"datasource"`
	Enable     bool       `json:"enable"`
	Hide       bool       `json:"hide"`
	IconColor  string     `json:"iconColor"`
	Name       string     `json:"name"`
	Type       string     `json:"type"`
}

type link struct {
	AsDropdown  bool     `json:"asDropdown"`
	Icon        string   `json:"icon"`
	IncludeVars bool     `json:"includeVars"`
	KeepTime    bool     `json:"keepTime"`
	Tags        []string `json:"tags"`
	TargetBlank bool     `json:"targetBlank"`
	Title       string   `json:"title"`
	Tooltip     string   `json:"tooltip"`
	Type        string   `json:"type"`
	URL         string   `json:"url"`
}

type templating struct {
	List []Variable `json:"list"`
}

type timeRange struct {
	From string `json:"from"`
	To   string `json:"to"`
}

// DataSource says where a query goes.
type DataSource struct {
	Type string `json:"type"`
	UID  string `json:"uid"`
}

// Variable is a variable of a dashboard.
type Variable struct {
	AllValue         string      `json:"allValue,omitempty"`
	AllowCustomValue *bool       `json:"allowCustomValue,omitempty"`
	Current          *option     `json:"current,omitempty"`
	DataSource       *DataSource `json:"datasource,omitempty"`
	Description      string      `json:"description,omitempty"`
	Hide             int         `json:"hide"`
	IncludeAll       bool        `json:"includeAll"`
	Label            string      `json:"label,omitempty"`
	Multi            bool        `json:"multi"`
	Name             string      `json:"name"`
	Options          []option    `json:"options"`
	Query            any         `json:"query"`
	Refresh          int         `json:"refresh,omitempty"`
	Regex            string      `json:"regex,omitempty"`
	SkipURLSync      bool        `json:"skipUrlSync"`
	Sort             int         `json:"sort"`
	Type             string      `json:"type"`
}

type option struct {
	Selected bool `json:"selected"`
	Text     any  `json:"text"`
	Value    any  `json:"value"`
}

// Panel is a panel, or a row above panels.
type Panel struct {
	Collapsed     *bool          `json:"collapsed,omitempty"`
	DataSource    *DataSource    `json:"datasource,omitempty"`
	Description   string         `json:"description,omitempty"`
	FieldConfig   *fieldConfig   `json:"fieldConfig,omitempty"`
	GridPos       gridPos        `json:"gridPos"`
	ID            int            `json:"id"`
	Interval      string         `json:"interval,omitempty"`
	MaxDataPoints int            `json:"maxDataPoints,omitempty"`
	Options       map[string]any `json:"options,omitempty"`
	Panels        []*Panel       `json:"panels,omitzero"`
	Targets       []Target       `json:"targets,omitempty"`
	TimeFrom      string         `json:"timeFrom,omitempty"`
	Title         string         `json:"title"`
	Type          string         `json:"type"`
}

type gridPos struct {
	H int `json:"h"`
	W int `json:"w"`
	X int `json:"x"`
	Y int `json:"y"`
}

type fieldConfig struct {
	Defaults  fieldDefaults `json:"defaults"`
	Overrides []override    `json:"overrides"`
}

type fieldDefaults struct {
	Color      map[string]any `json:"color,omitempty"`
	Custom     map[string]any `json:"custom,omitempty"`
	Decimals   *int           `json:"decimals,omitempty"`
	Mappings   []any          `json:"mappings"`
	Max        *float64       `json:"max,omitempty"`
	Min        *float64       `json:"min,omitempty"`
	NoValue    string         `json:"noValue,omitempty"`
	Thresholds *thresholds    `json:"thresholds,omitempty"`
	Unit       string         `json:"unit,omitempty"`
}

type thresholds struct {
	Mode  string      `json:"mode"`
	Steps []threshold `json:"steps"`
}

type threshold struct {
	Color string   `json:"color"`
	Value *float64 `json:"value"`
}

type override struct {
	Matcher    matcher    `json:"matcher"`
	Properties []property `json:"properties"`
}

type matcher struct {
	ID      string `json:"id"`
	Options any    `json:"options"`
}

type property struct {
	ID    string `json:"id"`
	Value any    `json:"value"`
}

// Target is a query of a panel.
type Target struct {
	DataSource   DataSource `json:"datasource"`
	EditorMode   string     `json:"editorMode,omitempty"` // Of Postgres and Prometheus.
	EditorType   string     `json:"editorType,omitempty"` // Of ClickHouse.
	Expr         string     `json:"expr,omitempty"`       // Of Prometheus.
	Format       any        `json:"format,omitempty"`
	Instant      *bool      `json:"instant,omitempty"`
	LegendFormat string     `json:"legendFormat,omitempty"`
	PluginVer    string     `json:"pluginVersion,omitempty"`
	QueryType    string     `json:"queryType,omitempty"`
	Range        *bool      `json:"range,omitempty"`
	RawQuery     bool       `json:"rawQuery,omitempty"`
	RawSQL       string     `json:"rawSql,omitempty"`
	RefID        string     `json:"refId"`
}
