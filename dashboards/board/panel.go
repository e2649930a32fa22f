package board

import "maps"

// The kinds of panels. Each has a title, a description that says what it shows and what to make of it, and a query; the rest
// is set by options.

type panelOption func(*Panel)

// stat shows one figure, or one of each row.
func (b *builder) stat(title, description string, s DataSource, sql string, opts ...panelOption) {
	b.figure(title, description, query(s, "table", sql), opts...)
}

func (b *builder) figure(title, description string, t Target, opts ...panelOption) {
	p := newPanel("stat", title, description, t, 4, 4)
	p.FieldConfig.Defaults.Color = map[string]any{"mode": "thresholds"}
	p.FieldConfig.Defaults.Thresholds = steps("blue")
	p.FieldConfig.Defaults.NoValue = "none"
	p.Options = map[string]any{
		"colorMode": "value", "graphMode": "none", "justifyMode": "auto", "orientation": "auto", "percentChangeColorMode": "standard",
		"reduceOptions": map[string]any{"calcs": []string{"lastNotNull"}, "fields": "", "values": false}, "showPercentChange": false, "textMode": "auto", "wideLayout": true,
	}
	b.put(p, opts)
}

// series shows figures over time.
func (b *builder) series(title, description string, s DataSource, sql string, opts ...panelOption) {
	b.lines(title, description, []Target{query(s, "timeseries", sql)}, opts...)
}

func (b *builder) lines(title, description string, targets []Target, opts ...panelOption) {
	p := newPanel("timeseries", title, description, targets[0], 12, 8)
	p.Targets = targets
	for i := range p.Targets {
		p.Targets[i].RefID = string(rune('A' + i))
	}
	zero := 0.
	p.FieldConfig.Defaults.Min = &zero
	p.FieldConfig.Defaults.Color = map[string]any{"mode": "palette-classic-by-name"}
	p.FieldConfig.Defaults.NoValue = "nothing in this time range"
	p.FieldConfig.Defaults.Custom = map[string]any{
		"axisBorderShow": false, "axisCenteredZero": false, "axisColorMode": "text", "axisLabel": "", "axisPlacement": "auto", "barAlignment": 0, "drawStyle": "line", "fillOpacity": 10,
		"gradientMode": "none", "hideFrom": map[string]any{"legend": false, "tooltip": false, "viz": false}, "insertNulls": false, "lineInterpolation": "linear", "lineWidth": 1,
		"pointSize": 5, "scaleDistribution": map[string]any{"type": "linear"}, "showPoints": "auto", "spanNulls": false, "stacking": map[string]any{"group": "A", "mode": "none"},
		"thresholdsStyle": map[string]any{"mode": "off"},
	}
	p.Options = map[string]any{
		"legend":  map[string]any{"calcs": []string{"mean", "max"}, "displayMode": "table", "placement": "bottom", "showLegend": true},
		"tooltip": map[string]any{"mode": "multi", "sort": "desc"},
	}
	b.put(p, opts)
}

// table shows rows.
func (b *builder) table(title, description string, s DataSource, sql string, opts ...panelOption) {
	p := newPanel("table", title, description, query(s, "table", sql), 24, 9)
	p.FieldConfig.Defaults.NoValue = "none in this time range"
	p.FieldConfig.Defaults.Custom = map[string]any{"align": "auto", "cellOptions": map[string]any{"type": "auto"}, "filterable": true, "inspect": true}
	p.Options = map[string]any{"cellHeight": "sm", "frameIndex": 0, "showHeader": true}
	b.put(p, opts)
}

// bars shows a figure for each of some names.
func (b *builder) bars(title, description string, s DataSource, sql string, opts ...panelOption) {
	p := newPanel("barchart", title, description, query(s, "table", sql), 12, 8)
	zero := 0.
	p.FieldConfig.Defaults.Min = &zero
	p.FieldConfig.Defaults.Color = map[string]any{"mode": "palette-classic"}
	p.FieldConfig.Defaults.NoValue = "nothing in this time range"
	p.FieldConfig.Defaults.Custom = map[string]any{
		"axisBorderShow": false, "axisCenteredZero": false, "axisColorMode": "text", "axisLabel": "", "axisPlacement": "auto", "fillOpacity": 80, "gradientMode": "none",
		"hideFrom": map[string]any{"legend": false, "tooltip": false, "viz": false}, "lineWidth": 1, "scaleDistribution": map[string]any{"type": "linear"}, "thresholdsStyle": map[string]any{"mode": "off"},
	}
	p.Options = map[string]any{
		"barRadius": 0, "barWidth": 0.9, "fullHighlight": false, "groupWidth": 0.7, "legend": map[string]any{"calcs": []string{}, "displayMode": "list", "placement": "bottom", "showLegend": false},
		"orientation": "auto", "showValue": "auto", "stacking": "none", "tooltip": map[string]any{"mode": "single", "sort": "none"}, "xTickLabelMaxLength": 24, "xTickLabelRotation": 0, "xTickLabelSpacing": 0,
	}
	b.put(p, opts)
}

// logs shows log records: columns timestamp, body, level, and labels.
func (b *builder) logs(title, description, sql string, opts ...panelOption) {
	p := newPanel("logs", title, description, query(clickHouse, "logs", sql), 24, 10)
	p.FieldConfig.Defaults.NoValue = "no log records"
	p.Options = map[string]any{
		"dedupStrategy": "none", "enableLogDetails": true, "prettifyLogMessage": false, "showCommonLabels": false, "showLabels": false, "showLogContextToggle": false, "showTime": true,
		"sortOrder": "Ascending", "wrapLogMessage": true,
	}
	b.put(p, opts)
}

// trace shows the spans of a trace as Grafana does.
func (b *builder) trace(title, description, sql string, opts ...panelOption) {
	p := newPanel("traces", title, description, query(clickHouse, "traces", sql), 24, 14)
	p.FieldConfig.Defaults.NoValue = "no spans"
	p.Options = map[string]any{}
	b.put(p, opts)
}

func newPanel(kind, title, description string, t Target, w, h int) *Panel {
	return &Panel{
		Type: kind, Title: title, Description: description, DataSource: &DataSource{t.DataSource.Type, t.DataSource.UID}, Targets: []Target{t},
		GridPos: gridPos{W: w, H: h}, FieldConfig: &fieldConfig{Defaults: fieldDefaults{Mappings: []any{}}, Overrides: []override{}},
	}
}

func (b *builder) put(p *Panel, opts []panelOption) {
	for _, o := range opts {
		o(p)
	}
	b.add(p)
}

// size sets width, of 24, and height.
func size(w, h int) panelOption {
	return func(p *Panel) { p.GridPos.W, p.GridPos.H = w, h }
}

// unit sets the unit of all figures: one of Grafana's.
func unit(u string) panelOption {
	return func(p *Panel) { p.FieldConfig.Defaults.Unit = u }
}

// decimals sets how many are shown.
func decimals(n int) panelOption {
	return func(p *Panel) { p.FieldConfig.Defaults.Decimals = &n }
}

// empty sets what is shown when there is nothing.
func empty(text string) panelOption {
	return func(p *Panel) { p.FieldConfig.Defaults.NoValue = text }
}

// highest sets the top of the scale.
func highest(v float64) panelOption {
	return func(p *Panel) { p.FieldConfig.Defaults.Max = &v }
}

// every sets the shortest step of time, such as 1h where the figures are of hours.
func every(interval string) panelOption {
	return func(p *Panel) { p.Interval = interval }
}

// last makes the panel show the last so long, whatever the time range is.
func last(duration string) panelOption {
	return func(p *Panel) { p.TimeFrom = duration }
}

// colors sets colors by value: the first, and from each limit on another.
func colors(first string, more ...any) panelOption {
	return func(p *Panel) {
		p.FieldConfig.Defaults.Thresholds = steps(first, more...)
	}
}

func steps(first string, more ...any) *thresholds {
	t := &thresholds{Mode: "absolute", Steps: []threshold{{Color: first}}}
	for i := 0; i < len(more); i += 2 {
		v := more[i].(float64)
		t.Steps = append(t.Steps, threshold{Color: more[i+1].(string), Value: &v})
	}
	return t
}

// stacked draws bars upon each other.
func stacked(p *Panel) {
	maps.Copy(p.FieldConfig.Defaults.Custom, map[string]any{
		"drawStyle": "bars", "fillOpacity": 80, "lineWidth": 0, "showPoints": "never", "stacking": map[string]any{"group": "A", "mode": "normal"},
	})
	p.Options["legend"].(map[string]any)["calcs"] = []string{"sum"}
}

// column sets how a column, or a line of a name, is shown.
func column(name string, how ...property) panelOption {
	return func(p *Panel) {
		p.FieldConfig.Overrides = append(p.FieldConfig.Overrides, override{matcher{"byName", name}, how})
	}
}

func inUnit(u string) property  { return property{"unit", u} }
func inDecimals(n int) property { return property{"decimals", n} }
func wide(px int) property      { return property{"custom.width", px} }
func hidden() property          { return property{"custom.hidden", true} }
func colored(c string) property {
	return property{"color", map[string]any{"mode": "fixed", "fixedColor": c}}
}

// to makes a cell a link.
func to(title, url string) property {
	return property{"links", []any{map[string]any{"title": title, "url": url, "targetBlank": false}}}
}

// byValue colors a cell by its value.
func byValue(first string, more ...any) []property {
	return []property{{"thresholds", steps(first, more...)}, {"custom.cellOptions", map[string]any{"type": "color-text"}}}
}

// bar draws a figure as a bar in its cell.
func bar() property {
	return property{"custom.cellOptions", map[string]any{"type": "gauge", "mode": "basic", "valueDisplayMode": "text"}}
}

// outcomes are the colors of how runs end.
func outcomes(p *Panel) {
	for _, o := range []struct{ name, color string }{{"success", "green"}, {"failed", "orange"}, {"timeout", "purple"}, {"error", "red"}, {"failed or error", "red"}} {
		column(o.name, colored(o.color))(p)
	}
}

// percentiles are the colors of p50, p95 and p99.
func percentiles(p *Panel) {
	for _, o := range []struct{ name, color string }{{"p50", "green"}, {"p95", "orange"}, {"p99", "red"}} {
		column(o.name, colored(o.color))(p)
	}
}
