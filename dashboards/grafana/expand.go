package grafana

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"
)

// Range is the time range and the step of a panel.
type Range struct {
	From, To time.Time
	Step     time.Duration
}

// Value is what is chosen of a variable.
type Value struct {
	All     bool // All is chosen; Options are then all values.
	Options []string
	Custom  string // What All stands for where the variable says so.
}

// Expand returns what the database of a data source gets.
func Expand(source, text string, r Range, values map[string]Value) (string, error) {
	var err error
	if source == ClickHouse {
		if text, err = conditionalAll(text, values); err != nil {
			return "", err
		}
	}
	if text, err = variables(source, text, r, values); err != nil {
		return "", err
	}
	switch source {
	case ClickHouse:
		text, err = clickHouseMacros(text, r)
	case Postgres:
		text, err = postgresMacros(text, r)
	}
	if err != nil {
		return "", err
	}
	if source != Prometheus && strings.Contains(text, "$") {
		return "", fmt.Errorf("something is left that begins with a dollar sign: %s", text[strings.Index(text, "$"):])
	}
	return text, nil
}

// conditionalAll replaces $__conditionalAll(condition, $variable) by the condition, or by 1=1 when all is chosen.
func conditionalAll(text string, values map[string]Value) (string, error) {
	const macro = "$__conditionalAll("
	for {
		at := strings.LastIndex(text, macro)
		if at < 0 {
			return text, nil
		}
		args, end, err := arguments(text[at+len(macro):])
		if err != nil || len(args) != 2 {
			return "", fmt.Errorf("%s…) has not two arguments: %q", macro, args)
		}
		name := strings.Trim(strings.TrimSpace(args[1]), "${}")
		value, ok := values[name]
		if !ok {
			return "", fmt.Errorf("%s…) is about a variable that is not there: %q", macro, args[1])
		}
		condition := strings.TrimSpace(args[0])
		if value.All || len(value.Options) == 0 {
			condition = "1=1"
		}
		text = text[:at] + condition + text[at+len(macro)+end:]
	}
}

// arguments splits what is between two parentheses at commas that are in no others. end is behind the closing one.
func arguments(text string) (args []string, end int, err error) {
	depth, begin := 0, 0
	for i, r := range text {
		switch {
		case r == '(':
			depth++
		case r == ')' && depth == 0:
			return append(args, text[begin:i]), i + 1, nil
		case r == ')':
			depth--
		case r == ',' && depth == 0:
			args, begin = append(args, text[begin:i]), i+1
		}
	}
	return nil, 0, fmt.Errorf("a parenthesis is not closed: %s", text)
}

var reference = regexp.MustCompile(`\$\{(\w+)(?::(\w+))?\}|\$(\w+)`)

// variables replaces ${name}, ${name:format} and $name. What begins with two underscores is Grafana's, or a macro.
func variables(source, text string, r Range, values map[string]Value) (string, error) {
	var err error
	text = reference.ReplaceAllStringFunc(text, func(all string) string {
		m := reference.FindStringSubmatch(all)
		name, format := m[1]+m[3], m[2]
		if name == "__interval" && source != ClickHouse {
			return step(r.Step)
		}
		if name == "__rate_interval" {
			return step(max(4*r.Step, r.Step))
		}
		if strings.HasPrefix(name, "__") {
			return all
		}
		value, ok := values[name]
		if !ok {
			err = fmt.Errorf("variable %s is not there", name)
			return all
		}
		if value.All && value.Custom != "" {
			return value.Custom // Grafana formats it in no way.
		}
		quoted := make([]string, len(value.Options))
		switch format {
		case "singlequote": // Escapes with a backslash, as ClickHouse does.
			for i, o := range value.Options {
				quoted[i] = "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(o) + "'"
			}
		case "sqlstring": // Escapes with another quote, as standard SQL does.
			for i, o := range value.Options {
				quoted[i] = "'" + strings.ReplaceAll(o, "'", "''") + "'"
			}
		case "":
			copy(quoted, value.Options)
		default:
			err = fmt.Errorf("format %s of variable %s is not known", format, name)
		}
		return strings.Join(quoted, ",")
	})
	return text, err
}

// step writes a duration as Grafana does.
func step(d time.Duration) string {
	switch {
	case d%(24*time.Hour) == 0:
		return strconv.Itoa(int(d/(24*time.Hour))) + "d"
	case d%time.Hour == 0:
		return strconv.Itoa(int(d/time.Hour)) + "h"
	case d%time.Minute == 0:
		return strconv.Itoa(int(d/time.Minute)) + "m"
	}
	return strconv.Itoa(int(d/time.Second)) + "s"
}

var macro = regexp.MustCompile(`\$__(\w+)(?:\(([^()]*)\))?`)

// clickHouseMacros expands those of the ClickHouse plugin that the dashboards use.
func clickHouseMacros(text string, r Range) (string, error) {
	seconds := strconv.Itoa(max(1, int(r.Step.Seconds())))
	at := func(t time.Time) string { return fmt.Sprintf("toDateTime(%d)", t.Unix()) }
	return expand(text, func(name, arg string, args bool) (string, bool) {
		switch {
		case name == "timeFilter" && args:
			return arg + " >= " + at(r.From) + " AND " + arg + " <= " + at(r.To), true
		case name == "timeInterval" && args:
			return "toStartOfInterval(toDateTime(" + arg + "), INTERVAL " + seconds + " second)", true
		case name == "fromTime" && !args:
			return at(r.From), true
		case name == "toTime" && !args:
			return at(r.To), true
		case name == "interval_s" && !args:
			return seconds, true
		}
		return "", false
	})
}

// postgresMacros expands those of Grafana's PostgreSQL data source that the dashboards use.
func postgresMacros(text string, r Range) (string, error) {
	at := func(t time.Time) string { return "'" + t.UTC().Format(time.RFC3339Nano) + "'" }
	return expand(text, func(name, arg string, args bool) (string, bool) {
		switch {
		case name == "timeFilter" && args:
			return arg + " BETWEEN " + at(r.From) + " AND " + at(r.To), true
		case name == "timeGroupAlias" && args:
			column, interval, ok := strings.Cut(arg, ",")
			d, err := duration(strings.Trim(strings.TrimSpace(interval), "'"))
			if !ok || err != nil {
				return "", false
			}
			return fmt.Sprintf(`floor(extract(epoch from %s)/%v)*%v AS "time"`, column, d.Seconds(), d.Seconds()), true
		}
		return "", false
	})
}

func expand(text string, one func(name, arg string, args bool) (string, bool)) (string, error) {
	var err error
	text = macro.ReplaceAllStringFunc(text, func(all string) string {
		m := macro.FindStringSubmatch(all)
		expanded, ok := one(m[1], strings.TrimSpace(m[2]), strings.HasSuffix(all, ")"))
		if !ok {
			err = fmt.Errorf("macro %s is not known, or has not the arguments that it needs", all)
		}
		return expanded
	})
	return text, err
}
