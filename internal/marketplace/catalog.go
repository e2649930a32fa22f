// Package marketplace simulates a marketplace of AI agents: people who send requests, an API in front, a runtime
// behind it whose agents call models, tools and each other, and all the ways in which that fails.
//
// What a run does is planned first, from a seeded source. Runs of the past are recorded as planned, a day within seconds;
// live ones happen: a request goes to the API server, a worker asks the ledger for the user's credits, performs the plan in real
// time, and settles. Everything leaves the way real telemetry does, through the SDK and OTLP, and all money goes through the
// ledger's API.
package marketplace

import (
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
)

// agent is one entry of the catalog. Latencies are those of its model calls.
type agent struct {
	id           uuid.UUID
	slug         string
	name         string
	category     string
	version      string
	model        model
	median       time.Duration // Median of one model call.
	spread       float64       // Sigma of its log-normal distribution.
	turns        int           // Most model calls in a run.
	tools        []string
	calls        string  // Agent that it sometimes hands work to.
	failureRate  float64 // Share of runs that do not succeed.
	popularity   float64 // Relative number of runs.
	price        int64   // Micro-credits for each thousand tokens.
	deadline     time.Duration
	inputTokens  int  // Typical prompt.
	outputTokens int  // Typical answer.
	paidAnyway   bool // What was used until a run failed is paid for.
}

type model struct {
	provider, name      string
	inputNano, outNano  int64 // Billionths of a USD for each token.
	cacheReadPercentage int64 // Price of a cached token in percent of an input token.
}

var (
	opus   = model{"anthropic", "claude-opus-4-5", 5000, 25000, 10}
	haiku  = model{"anthropic", "claude-haiku-4-5", 1000, 5000, 10}
	gpt    = model{"openai", "gpt-5.2", 1750, 14000, 10}
	mini   = model{"openai", "gpt-5-mini", 250, 2000, 10}
	gemini = model{"gcp.vertex_ai", "gemini-3-pro", 2000, 12000, 10}
	llama  = model{"self_hosted", "llama-4-70b", 200, 600, 100}
)

// catalog returns the agents on offer, always the same.
func catalog() []agent {
	agents := []agent{
		{slug: "research-assistant", name: "Research Assistant", category: "research", model: opus, median: 2200 * time.Millisecond, spread: 0.5, turns: 4, tools: []string{"web_search", "read_page", "cite"}, failureRate: 0.05, popularity: 9},
		{slug: "code-reviewer", name: "Code Reviewer", category: "engineering", model: opus, median: 1800 * time.Millisecond, spread: 0.6, turns: 3, tools: []string{"git_diff", "run_linter"}, failureRate: 0.04, popularity: 8},
		{slug: "support-triage", name: "Support Triage", category: "support", model: haiku, median: 450 * time.Millisecond, spread: 0.35, turns: 2, tools: []string{"lookup_ticket", "assign_queue"}, failureRate: 0.02, popularity: 14},
		{slug: "invoice-reader", name: "Invoice Reader", category: "finance", model: gpt, median: 1300 * time.Millisecond, spread: 0.4, turns: 2, tools: []string{"ocr", "match_vendor"}, failureRate: 0.06, popularity: 7},
		{slug: "travel-planner", name: "Travel Planner", category: "travel", model: gpt, median: 1900 * time.Millisecond, spread: 0.55, turns: 4, tools: []string{"search_flights", "search_hotels", "weather"}, calls: "weather-reporter", failureRate: 0.09, popularity: 5},
		{slug: "weather-reporter", name: "Weather Reporter", category: "travel", model: mini, median: 320 * time.Millisecond, spread: 0.3, turns: 1, tools: []string{"weather"}, failureRate: 0.03, popularity: 6},
		{slug: "sql-analyst", name: "SQL Analyst", category: "analytics", model: gpt, median: 1500 * time.Millisecond, spread: 0.5, turns: 3, tools: []string{"describe_schema", "run_query"}, failureRate: 0.11, popularity: 6},
		{slug: "meeting-notes", name: "Meeting Notes", category: "productivity", model: haiku, median: 900 * time.Millisecond, spread: 0.4, turns: 1, tools: []string{"fetch_transcript"}, failureRate: 0.02, popularity: 8},
		{slug: "contract-checker", name: "Contract Checker", category: "legal", model: opus, median: 3100 * time.Millisecond, spread: 0.45, turns: 2, tools: []string{"load_document", "compare_clause"}, failureRate: 0.07, popularity: 3},
		{slug: "lead-qualifier", name: "Lead Qualifier", category: "sales", model: mini, median: 420 * time.Millisecond, spread: 0.4, turns: 2, tools: []string{"crm_lookup"}, failureRate: 0.03, popularity: 7},
		{slug: "translator", name: "Translator", category: "language", model: gemini, median: 700 * time.Millisecond, spread: 0.35, turns: 1, failureRate: 0.015, popularity: 10},
		{slug: "resume-screener", name: "Resume Screener", category: "hiring", model: gemini, median: 1100 * time.Millisecond, spread: 0.4, turns: 2, tools: []string{"parse_pdf"}, failureRate: 0.05, popularity: 4},
		{slug: "incident-responder", name: "Incident Responder", category: "operations", model: opus, median: 1600 * time.Millisecond, spread: 0.7, turns: 5, tools: []string{"query_metrics", "tail_logs", "page_owner"}, calls: "sql-analyst", failureRate: 0.13, popularity: 3},
		{slug: "product-copywriter", name: "Product Copywriter", category: "marketing", model: gpt, median: 1000 * time.Millisecond, spread: 0.3, turns: 1, failureRate: 0.02, popularity: 6},
		{slug: "image-tagger", name: "Image Tagger", category: "media", model: llama, median: 380 * time.Millisecond, spread: 0.25, turns: 1, tools: []string{"load_image"}, failureRate: 0.04, popularity: 9},
		{slug: "tutor", name: "Tutor", category: "education", model: haiku, median: 800 * time.Millisecond, spread: 0.45, turns: 3, tools: []string{"quiz"}, failureRate: 0.02, popularity: 6},
		{slug: "fraud-watcher", name: "Fraud Watcher", category: "finance", model: llama, median: 260 * time.Millisecond, spread: 0.3, turns: 2, tools: []string{"score_transaction", "lookup_account"}, failureRate: 0.05, popularity: 8},
		{slug: "recipe-chef", name: "Recipe Chef", category: "lifestyle", model: mini, median: 600 * time.Millisecond, spread: 0.35, turns: 1, failureRate: 0.02, popularity: 3},
		{slug: "data-cleaner", name: "Data Cleaner", category: "analytics", model: llama, median: 950 * time.Millisecond, spread: 0.8, turns: 4, tools: []string{"sample_rows", "write_rows"}, failureRate: 0.15, popularity: 4},
		{slug: "news-digest", name: "News Digest", category: "research", model: gemini, median: 1250 * time.Millisecond, spread: 0.4, turns: 2, tools: []string{"fetch_feed"}, calls: "translator", failureRate: 0.04, popularity: 5},
	}
	for i := range agents {
		a := &agents[i]
		a.id = stableUUID("agent", i)
		a.version = fmt.Sprintf("1.%d.0", i%5)
		a.price = 2_000_000 + 500_000*int64(i%4)
		a.deadline = 12 * time.Second
		a.inputTokens = 600 + 170*(i%7)
		a.outputTokens = 120 + 60*(i%5)
		a.paidAnyway = i%6 == 0
	}
	return agents
}

// user is somebody who runs agents.
type user struct {
	id        uuid.UUID
	name      string
	email     string
	ip        string
	userAgent string
	activity  float64
	mandate   uuid.UUID
}

// token is with what the user comes to the API.
func (u *user) token() string { return "demo-" + stableUUID("token-of-"+u.email, 0).String() }

// people returns n users, always the same for one n.
func people(n int) []user {
	first := []string{"Ada", "Bela", "Chen", "Dalia", "Emeka", "Freya", "Goran", "Hana", "Ivo", "Jana", "Kofi", "Lena", "Marek", "Nia", "Oskar", "Priya", "Quinn", "Rosa", "Sami", "Tove"}
	last := []string{"Abel", "Brandt", "Costa", "Dvorak", "Eriksen", "Farah", "Garcia", "Haas", "Ito", "Jansen"}
	agents := []string{
		"Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.3 Safari/605.1.15",
		"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
		"Mozilla/5.0 (X11; Linux x86_64; rv:144.0) Gecko/20100101 Firefox/144.0",
		"marketplace-cli/2.4.1",
	}
	rng := rand.New(rand.NewPCG(7, uint64(n))) //nolint:gosec // A simulation needs repeatable numbers.
	users := make([]user, n)
	for i := range users {
		name := first[i%len(first)] + " " + last[(i/len(first))%len(last)]
		users[i] = user{
			id:        stableUUID("user", i),
			name:      name,
			email:     fmt.Sprintf("user%03d@example.com", i),
			ip:        fmt.Sprintf("203.0.113.%d", 1+i%250),
			userAgent: agents[i%len(agents)],
			activity:  rng.ExpFloat64() + 0.1,
			mandate:   stableUUID("mandate", i),
		}
	}
	return users
}

func stableUUID(kind string, i int) uuid.UUID {
	return uuid.NewSHA1(uuid.NameSpaceDNS, fmt.Appendf(nil, "%s-%d.marketplace.example", kind, i))
}
