package mapping

import (
	"strings"

	"github.com/agenttrail/agenttrail/exporter/record"
	"github.com/agenttrail/agenttrail/exporter/row"
)

// securityName is one row of the table of names of security events. Names ending in a dot or an underscore are
// prefixes. An event without a kind keeps its name as type.
type securityName struct {
	name    string
	kind    string
	outcome row.Outcome
	from    string
}

// securityNames says which events are about security, whoever names them. A name is looked up as it is, then without
// the ending that tells the outcome, see outcomeEndings.
var securityNames = []securityName{
	{"auth.", "", row.OutcomeUnknown, "by convention; the types of agenttrail.security.type"},
	{"authn.", "", row.OutcomeUnknown, "by convention"},
	{"authz.", "", row.OutcomeUnknown, "by convention"},
	{"authentication.", "", row.OutcomeUnknown, "by convention"},
	{"authorization.", "", row.OutcomeUnknown, "by convention"},
	{"iam.", "", row.OutcomeUnknown, "by convention"},
	{"mfa.", "", row.OutcomeUnknown, "by convention"},
	{"login", "auth.login", row.OutcomeUnknown, "by convention"},
	{"logout", "auth.logout", row.OutcomeUnknown, "by convention"},
	{"user.login", "auth.login", row.OutcomeUnknown, "by convention"},
	{"user_login", "auth.login", row.OutcomeUnknown, "by convention"},
	{"user.signin", "auth.login", row.OutcomeUnknown, "by convention"},
	{"user.sign_in", "auth.login", row.OutcomeUnknown, "by convention"},
	{"user.logged_in", "auth.login", row.OutcomeSuccess, "by convention"},
	{"user.logout", "auth.logout", row.OutcomeUnknown, "by convention"},
	{"user_logout", "auth.logout", row.OutcomeUnknown, "by convention"},
	{"user.signout", "auth.logout", row.OutcomeUnknown, "by convention"},
	{"user.sign_out", "auth.logout", row.OutcomeUnknown, "by convention"},
	{"user.logged_out", "auth.logout", row.OutcomeSuccess, "by convention"},
	{"user.locked", "", row.OutcomeUnknown, "by convention"},
	{"user.unlocked", "", row.OutcomeUnknown, "by convention"},
	{"user.password.", "", row.OutcomeUnknown, "by convention"},
	{"user.role.", "", row.OutcomeUnknown, "by convention"},
	{"user.permission.", "", row.OutcomeUnknown, "by convention"},
	{"user.mfa.", "", row.OutcomeUnknown, "by convention"},
	{"password.changed", "", row.OutcomeUnknown, "by convention"},
	{"password.reset", "", row.OutcomeUnknown, "by convention"},
	{"key.created", "", row.OutcomeUnknown, "by convention"},
	{"key.rotated", "", row.OutcomeUnknown, "by convention"},
	{"key.revoked", "", row.OutcomeUnknown, "by convention"},
	{"key.expired", "", row.OutcomeUnknown, "by convention"},
	{"api_key.", "", row.OutcomeUnknown, "by convention"},
	{"token.issued", "", row.OutcomeUnknown, "by convention"},
	{"token.revoked", "", row.OutcomeUnknown, "by convention"},
	{"token.reused", "", row.OutcomeUnknown, "by convention"},
	{"secret.accessed", "", row.OutcomeUnknown, "by convention"},
	{"secret.rotated", "", row.OutcomeUnknown, "by convention"},
	{"secret.leaked", "", row.OutcomeUnknown, "by convention"},
	{"permission.", "", row.OutcomeUnknown, "by convention"},
	{"access.denied", "", row.OutcomeDenied, "by convention"},
	{"access.granted", "", row.OutcomeSuccess, "by convention"},
	{"policy.violation", "", row.OutcomeUnknown, "by convention"},
	{"policy.violated", "policy.violation", row.OutcomeUnknown, "by convention"},
	{"policy.denied", "", row.OutcomeDenied, "by convention"},
	{"prompt_injection", "", row.OutcomeUnknown, "by convention, for agents"},
	{"prompt_injection.", "", row.OutcomeUnknown, "by convention, for agents"},
	{"guardrail.", "", row.OutcomeUnknown, "by convention, for agents"},
	{"authn_login_successafterfail", "auth.login", row.OutcomeSuccess, "OWASP logging vocabulary"},
	{"authn_login", "auth.login", row.OutcomeUnknown, "OWASP logging vocabulary"},
	{"authn_", "", row.OutcomeUnknown, "OWASP logging vocabulary"},
	{"authz_fail", "auth.denied", row.OutcomeDenied, "OWASP logging vocabulary"},
	{"authz_", "", row.OutcomeUnknown, "OWASP logging vocabulary"},
	{"malicious_", "", row.OutcomeUnknown, "OWASP logging vocabulary"},
	{"privilege_permissions_changed", "", row.OutcomeUnknown, "OWASP logging vocabulary"},
	{"input_validation_fail", "", row.OutcomeFailure, "OWASP logging vocabulary"},
	{"excess_rate_limit_exceeded", "", row.OutcomeDenied, "OWASP logging vocabulary"},
	{"session_use_after_expire", "", row.OutcomeDenied, "OWASP logging vocabulary"},
	{"user_created", "", row.OutcomeUnknown, "OWASP logging vocabulary"},
	{"user_updated", "", row.OutcomeUnknown, "OWASP logging vocabulary"},
	{"user_archived", "", row.OutcomeUnknown, "OWASP logging vocabulary"},
	{"user_deleted", "", row.OutcomeUnknown, "OWASP logging vocabulary"},
}

// securityPrefix marks any event as one about security; the type goes without it.
const securityPrefix = "security."

// outcomeEndings are words at the end of an event's name, after a dot or an underscore, that tell how it ended. Those
// that are cut are not a part of the type: auth.login.failed is an auth.login, but auth.denied is just that.
var outcomeEndings = []struct {
	word    string
	outcome row.Outcome
	cut     bool
}{
	{"failed", row.OutcomeFailure, true},
	{"failure", row.OutcomeFailure, true},
	{"fail", row.OutcomeFailure, true},
	{"succeeded", row.OutcomeSuccess, true},
	{"success", row.OutcomeSuccess, true},
	{"denied", row.OutcomeDenied, false},
	{"rejected", row.OutcomeDenied, false},
	{"forbidden", row.OutcomeDenied, false},
	{"blocked", row.OutcomeDenied, false},
}

// securityCategory is one row of the table of ECS categories: what event.category and event.type make of an event
// whose name says nothing. Without a kind the type is the prefix and event.action, else the prefix and event.type.
type securityCategory struct {
	category, eventType string
	prefix, kind        string
	from                string
}

var securityCategories = []securityCategory{
	{"authentication", "denied", "auth", "auth.denied", "ECS"},
	{"authentication", "start", "auth", "auth.login", "ECS: the expected types are start, end and info"},
	{"authentication", "end", "auth", "auth.logout", "ECS"},
	{"authentication", "", "auth", "", "ECS"},
	{"iam", "", "iam", "", "ECS"},
	{"intrusion_detection", "", "intrusion_detection", "", "ECS"},
	{"malware", "", "malware", "", "ECS"},
	{"threat", "", "threat", "", "ECS"},
	{"vulnerability", "", "vulnerability", "", "ECS"},
}

// ruleMatch is the type of an event that a security rule raised and that does not say more.
const ruleMatch = "rule.match"

var (
	securityTypes      = newTable(source{key: KeySecurityType, from: "agenttrail"})
	securityRules      = newTable(source{key: "security_rule.name", from: "semconv v1.30"}, source{key: "security_rule.uuid", from: "semconv v1.30"})
	securityAlertRules = newTable(source{key: "rule.name", from: "ECS"}, source{key: "rule.id", from: "ECS"})
	securityActions    = newTable(source{key: "event.action", from: "ECS"})
	securityActors     = newTable(
		source{key: KeySecurityActor, from: "agenttrail"},
		source{key: "user.name", from: "semconv; ECS"},
		source{key: "user.email", from: "semconv; ECS"},
		source{key: "client.user.name", from: "ECS"},
		source{key: "source.user.name", from: "ECS"},
	)
	securityUsers = newTable(
		source{key: "client.user.id", from: "ECS"},
		source{key: "source.user.id", from: "ECS"},
	)
	securityResources = newTable(
		source{key: KeySecurityResource, from: "agenttrail"},
		source{key: "user.target.name", from: "ECS"},
		source{key: "user.target.id", from: "ECS"},
		source{key: "group.name", from: "ECS"},
		source{key: "gen_ai.tool.name", from: "semconv v1.31: a tool that an agent may or may not use"},
		source{key: "mcp.resource.uri", from: "semconv v1.39"},
		source{key: "file.path", from: "semconv; ECS"},
		source{key: "url.full", from: "semconv; ECS"},
		source{key: "url.path", from: "semconv; ECS"},
		source{key: "http.route", from: "semconv"},
	)
	securityAddresses = newTable(
		source{key: KeyClientAddress, from: "agenttrail"},
		source{key: "client.address", from: "semconv v1.21; ECS"},
		source{key: "client.ip", from: "ECS"},
		source{key: "source.address", from: "semconv; ECS"},
		source{key: "source.ip", from: "ECS"},
		source{key: "http.client_ip", from: "semconv before v1.21"},
		source{key: "network.peer.address", from: "semconv v1.21"},
		source{key: "net.sock.peer.addr", from: "semconv before v1.21"},
		source{key: "net.peer.ip", from: "semconv before v1.13"},
	)
)

var (
	idSecurityOutcome  = keys.intern(KeySecurityOutcome)
	idSecuritySeverity = keys.intern(KeySecuritySeverity)
	idEventCategory    = keys.intern("event.category")
	idEventKind        = keys.intern("event.kind")
	idEventType        = keys.intern("event.type")
	idEventOutcome     = keys.intern("event.outcome")
)

// securityKeys are the attributes that can make a record without a name an event about security.
var securityKeys = func() keySet {
	var s keySet
	for _, t := range []*table{securityTypes, securityRules, securityAlertRules} {
		for i := range t.rows {
			s.add(t.rows[i].id)
		}
	}
	s.add(idEventCategory)
	return s
}()

var securityOutcomes = map[string]row.Outcome{
	"unknown": row.OutcomeUnknown,
	"success": row.OutcomeSuccess,
	"failure": row.OutcomeFailure,
	"denied":  row.OutcomeDenied,
}

var securitySeverities = map[string]row.Severity{
	"info":     row.SeverityInfo,
	"warning":  row.SeverityWarning,
	"error":    row.SeverityError,
	"critical": row.SeverityCritical,
}

// emitSecurity emits the row of a log record that is about security, beside its row in AgentLog. Both have the same
// id.
func (m *Mapper) emitSecurity(l *row.Log, v *view, d Dialect, severity uint8, sink row.Sink) {
	if l.EventName == "" && !v.has.intersects(&securityKeys) {
		return
	}
	kind, outcome := m.securityType(v, l.EventName)
	if kind == "" {
		return
	}
	x := &m.security
	*x = row.SecurityEvent{
		ID:          l.ID,
		Timestamp:   l.Timestamp,
		Type:        kind,
		Severity:    m.securitySeverity(v, severity),
		Outcome:     m.securityOutcome(v, outcome),
		UserID:      l.UserID,
		Message:     l.Message,
		Details:     m.securityDetails(l, kind),
		TraceID:     l.TraceID,
		SpanID:      l.SpanID,
		ExecutionID: l.ExecutionID,
		Component:   l.ServiceName,
		Environment: l.Environment,
	}
	if x.UserID == "" {
		x.UserID, _ = m.text(v, securityUsers, d)
	}
	x.Actor, _ = m.text(v, securityActors, d)
	fill(&x.Actor, x.UserID)
	x.Resource, _ = m.text(v, securityResources, d)
	x.IPAddress, _ = m.text(v, securityAddresses, d)
	x.UserAgent, _ = m.text(v, userAgents, d)
	m.stats.SecurityEvents++
	sink.SecurityEvent(x)
}

// securityType returns the type of an event about security, "" for any other, and the outcome that its name tells.
func (m *Mapper) securityType(v *view, name string) (string, row.Outcome) {
	own, _ := m.text(v, securityTypes, DialectNone)
	kind, outcome := securityOfName(name)
	switch {
	case own != "":
		if outcome == row.OutcomeUnknown {
			_, outcome = cutOutcome(own)
		}
		return own, outcome
	case kind != "":
		return kind, outcome
	}
	for i := range securityCategories {
		c := &securityCategories[i]
		if !hasWord(v, idEventCategory, c.category) || c.eventType != "" && !hasWord(v, idEventType, c.eventType) {
			continue
		}
		return m.securityOfCategory(v, c)
	}
	if v.has.intersects(&securityRules.need) || v.has.intersects(&securityAlertRules.need) && v.str(idEventKind) == "alert" {
		return ruleMatch, row.OutcomeUnknown
	}
	return "", row.OutcomeUnknown
}

func (m *Mapper) securityOfCategory(v *view, c *securityCategory) (string, row.Outcome) {
	action, _ := m.text(v, securityActions, DialectNone)
	kind, outcome := securityOfName(action)
	switch {
	case kind != "":
		return kind, outcome
	case c.kind != "":
		return c.kind, row.OutcomeUnknown
	case action != "":
		_, outcome = cutOutcome(action)
		return m.joined(c.prefix, action), outcome
	case firstWord(v, idEventType) != "":
		return m.joined(c.prefix, firstWord(v, idEventType)), row.OutcomeUnknown
	}
	return c.prefix, row.OutcomeUnknown
}

func (m *Mapper) joined(prefix, name string) string {
	dst := append(m.arena.Text(), prefix...)
	dst = append(dst, '.')
	return m.name(m.arena.TakeText(append(dst, name...)))
}

// securityOfName returns the type and outcome that the name of an event about security tells, else "".
func securityOfName(name string) (string, row.Outcome) {
	name, _, _ = strings.Cut(name, ":") // OWASP puts arguments behind a colon.
	name, marked := strings.CutPrefix(name, securityPrefix)
	if name == "" {
		return "", row.OutcomeUnknown
	}
	if r := findSecurityName(name, true); r != nil {
		return securityRow(r, name, row.OutcomeUnknown)
	}
	short, outcome := cutOutcome(name)
	if r := findSecurityName(short, true); r != nil {
		return securityRow(r, short, outcome)
	}
	if marked || findSecurityName(name, false) != nil {
		if !strings.ContainsAny(short, "._") {
			short = name // "auth.failed" stays what it is.
		}
		return short, outcome
	}
	return "", row.OutcomeUnknown
}

func securityRow(r *securityName, name string, outcome row.Outcome) (string, row.Outcome) {
	if outcome == row.OutcomeUnknown {
		outcome = r.outcome
	}
	if outcome == row.OutcomeUnknown {
		_, outcome = cutOutcome(name)
	}
	if r.kind != "" {
		return r.kind, outcome
	}
	return name, outcome
}

func findSecurityName(name string, whole bool) *securityName {
	for i := range securityNames {
		r := &securityNames[i]
		last := r.name[len(r.name)-1]
		if prefix := last == '.' || last == '_'; prefix == whole {
			continue
		}
		if name == r.name || !whole && strings.HasPrefix(name, r.name) {
			return r
		}
	}
	return nil
}

// cutOutcome returns the outcome that the end of a name tells, and the name without it where it is no part of it.
func cutOutcome(name string) (string, row.Outcome) {
	for i := range outcomeEndings {
		e := &outcomeEndings[i]
		rest, ok := strings.CutSuffix(name, e.word)
		if !ok || rest == "" || !strings.ContainsRune("._-", rune(rest[len(rest)-1])) {
			continue
		}
		if e.cut {
			return rest[:len(rest)-1], e.outcome
		}
		return name, e.outcome
	}
	return name, row.OutcomeUnknown
}

// securityOutcome returns how an event ended: what it says itself, else ECS, else what its name tells.
func (m *Mapper) securityOutcome(v *view, named row.Outcome) row.Outcome {
	if own, ok := v.get(idSecurityOutcome); ok {
		if o, ok := securityOutcomes[own.Str]; ok && own.Kind == record.ValueString {
			return o
		}
		m.stats.Adjusted[ReasonUnknownValue]++
	}
	if hasWord(v, idEventType, "denied") {
		return row.OutcomeDenied
	}
	if o := securityOutcomes[v.str(idEventOutcome)]; o != row.OutcomeUnknown {
		if o == row.OutcomeFailure && named == row.OutcomeDenied {
			return named // A denial is a failure, and says more.
		}
		return o
	}
	if named == row.OutcomeUnknown && hasWord(v, idEventType, "allowed") {
		return row.OutcomeSuccess
	}
	return named
}

func (m *Mapper) securitySeverity(v *view, severity uint8) row.Severity {
	if own, ok := v.get(idSecuritySeverity); ok {
		if s, ok := securitySeverities[own.Str]; ok && own.Kind == record.ValueString {
			return s
		}
		m.stats.Adjusted[ReasonUnknownValue]++
	}
	if severity < severityWarn {
		return row.SeverityInfo
	}
	return severityRow(severity)
}

// securityDetails returns the attributes of an event, and its name where neither they nor the type tell it.
func (m *Mapper) securityDetails(l *row.Log, kind string) record.Attrs {
	if l.EventName == "" || l.EventName == kind {
		return l.Metadata
	}
	mark := m.arena.AttrMark()
	for i := range l.Metadata {
		if l.Metadata[i].Key != "log.event_name" {
			m.arena.AddAttr(l.Metadata[i].Key, l.Metadata[i].Value)
		}
	}
	m.arena.AddAttr("log.event_name", record.String(l.EventName))
	return m.arena.TakeAttrs(mark)
}

// hasWord reports whether an attribute is a word or a list that has it. ECS writes lists; some shippers write them as
// JSON text or as the only word.
func hasWord(v *view, id keyID, word string) bool {
	x, ok := v.get(id)
	if !ok {
		return false
	}
	for rest := listText(x); rest != ""; {
		var w string
		w, rest = nextWord(rest)
		if w == word {
			return true
		}
	}
	return false
}

func firstWord(v *view, id keyID) string {
	if x, ok := v.get(id); ok {
		if text := listText(x); text != "" {
			w, _ := nextWord(text)
			return w
		}
	}
	return ""
}

func listText(x record.Value) string {
	if x.Kind != record.ValueString && x.Kind != record.ValueArray || len(x.Str) > maxNameBytes {
		return ""
	}
	return strings.TrimSuffix(strings.TrimPrefix(x.Str, "["), "]")
}

// nextWord cuts the first word off a list.
func nextWord(list string) (word, rest string) {
	word, rest, _ = strings.Cut(list, ",")
	return strings.Trim(word, "\" \t\n\r"), rest
}
