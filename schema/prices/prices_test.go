package prices_test

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/agenttrail/agenttrail/schema/prices"
)

func TestFind(t *testing.T) {
	t.Parallel()
	l, err := prices.Shipped()
	require.NoError(t, err)
	// input is what the vendors' pages say, in USD per million tokens; empty means no price.
	f := func(provider, model, at, input string) {
		t.Helper()
		day, err := time.Parse(time.DateOnly, at)
		require.NoError(t, err)
		p, ok := l.Find(provider, model, day)
		if input == "" {
			require.False(t, ok, "%s %s took the price of %s", provider, model, p.Model)
			return
		}
		require.True(t, ok, "%s %s has no price", provider, model)
		d, err := time.ParseDuration(input + "s") // Billionths of a second are as exact as those of USD.
		require.NoError(t, err)
		require.Equal(t, int64(d), p.Input, "%s %s took the price of %s", provider, model, p.Model)
		require.Equal(t, l.Version(), p.Version)
	}
	// By time.
	f("openai", "o3", "2025-06-09", "10")
	f("openai", "o3", "2025-06-10", "2")
	f("openai", "gpt-4o", "2024-10-01", "5")
	f("openai", "gpt-4o", "2024-10-02", "2.5")
	f("openai", "gpt-4o", "2024-05-12", "")
	f("openai", "gpt-5", "2025-08-06", "")
	// Dated names: their own price, else that of the model.
	f("openai", "gpt-4o-2024-05-13", "2025-06-10", "5")
	f("openai", "gpt-4o-2024-11-20", "2025-06-10", "2.5")
	f("openai", "gpt-5-2025-08-07", "2025-09-01", "1.25")
	f("openai", "gpt-5-mini-2025-08-07", "2025-09-01", "0.25")
	f("openai", "GPT-5", "2025-09-01", "1.25")
	f("anthropic", "claude-sonnet-4-20250514", "2025-09-01", "3")
	f("anthropic", "claude-sonnet-4-5-20250929", "2025-10-01", "3")
	f("anthropic", "claude-3-5-haiku-latest", "2025-10-01", "0.8")
	// Prices that changed, and changes that are announced.
	f("openai", "gpt-5.6-luna", "2026-07-29", "1")
	f("openai", "gpt-5.6-luna", "2026-07-30", "0.2")
	f("openai", "gpt-5.6", "2026-10-01", "4")
	f("google", "gemini-3.8-flash", "2026-12-31", "0.75")
	f("google", "gemini-3.8-flash", "2027-01-01", "1.5")
	f("anthropic", "claude-sonnet-5", "2026-12-01", "2")
	// A version that follows another is no date of it.
	f("anthropic", "claude-opus-5", "2026-10-01", "5")
	f("anthropic", "claude-opus-5-5", "2026-10-01", "4")
	f("openai", "gpt-6-sol-2026-09-22", "2026-10-01", "2")
	f("xai", "grok-4.7", "2026-10-01", "2")
	// Prefixes.
	f("google", "models/gemini-2.0-flash-001", "2025-10-01", "0.1")
	f("gcp.vertex_ai", "publishers/google/models/gemini-2.5-flash", "2025-10-01", "0.3")
	f("aws.bedrock", "eu.anthropic.claude-3-7-sonnet-20250219-v1:0", "2025-10-01", "3")
	f("aws.bedrock", "arn:aws:bedrock:us-east-1:1:inference-profile/us.anthropic.claude-opus-4-1-20250805-v1:0", "2025-10-01", "15")
	f("", "anthropic/claude-opus-4@20250514", "2025-10-01", "15")
	f("azure.ai.openai", "gpt-4.1", "2025-10-01", "2")
	// Nothing is guessed.
	f("openai", "gpt-4o-audio-preview", "2025-10-01", "")
	f("openai", "gpt-5-audio", "2025-11-01", "")
	f("openai", "gpt-6", "2026-10-01", "")
	f("openai", "", "2025-10-01", "")
	f("", "", "2025-10-01", "")
	f("ollama", "gpt-4o", "2025-10-01", "")
	f("anthropic", "gpt-4o", "2025-10-01", "")
}

// TestShippedIsPlausible finds slips: a digit too many, columns that were mixed up.
func TestShippedIsPlausible(t *testing.T) {
	t.Parallel()
	l, err := prices.Shipped()
	require.NoError(t, err)
	asOf, err := time.Parse(time.DateOnly, l.Version())
	require.NoError(t, err, "the version of the shipped list is its date")
	for _, p := range l.All() {
		name := p.Provider + " " + p.Model + " from " + p.EffectiveFrom.Format(time.DateOnly)
		require.Positive(t, p.Input, name)
		require.Positive(t, p.CacheRead, name)
		require.LessOrEqual(t, p.CacheRead, p.Input, name)
		require.GreaterOrEqual(t, p.CacheWrite, p.Input, name)
		require.LessOrEqual(t, p.CacheWrite, 2*p.Input, name)
		if strings.Contains(p.Model, "embedding") {
			require.Zero(t, p.Output, name)
		} else {
			require.GreaterOrEqual(t, p.Output, p.Input, name)
			require.LessOrEqual(t, p.Output, 10*p.Input, name)
		}
		require.LessOrEqual(t, p.Input, int64(30e9), name)
		require.Regexp(t, `^https://[a-z.]+/`, p.Source, name)
		require.NotContains(t, p.Model, "/", name)
		require.True(t, p.EffectiveFrom.Before(asOf.AddDate(1, 0, 0)), name)
	}
}

func TestCost(t *testing.T) {
	t.Parallel()
	// Haiku 4.5: 1 and 5 USD, 0.10 for cache reads and 1.25 for cache writes.
	p := prices.Price{Input: 1e9, Output: 5e9, CacheRead: 1e8, CacheWrite: 1.25e9}
	f := func(input, output, cacheRead, cacheWrite uint64, want int64) {
		t.Helper()
		require.Equal(t, want, p.Cost(input, output, cacheRead, cacheWrite))
	}
	f(0, 0, 0, 0, 0)
	f(1_000_000, 0, 0, 0, 1_000_000_000)
	f(0, 1_000_000, 0, 0, 5_000_000_000)
	f(1000, 10, 600, 300, 100*1000+10*5000+600*100+300*1250)
	f(1000, 0, 1000, 0, 100_000)
	f(100, 0, 200, 0, 20_000) // More cached than there were: none is left to pay in full.
	f(1<<63, 1<<63, 0, 0, prices.MaxNanoUSD)
	p = prices.Price{Input: 500_000}
	f(1, 0, 0, 0, 1) // Half a billionth.
	p = prices.Price{Input: 499_999}
	f(1, 0, 0, 0, 0)
}

func TestLoadRefuses(t *testing.T) {
	t.Parallel()
	f := func(text, want string) {
		t.Helper()
		_, err := prices.Load(strings.NewReader(text))
		require.ErrorContains(t, err, want)
	}
	entry := func(fields string) string {
		return `{"version": "1", "prices": [{"provider": "p", "model": "m", "effectiveFrom": "2025-01-01", ` + fields + `}]}`
	}
	f(``, "EOF")
	f(`{"prices": []}`, "no version")
	f(`{"version": "1"}`, "empty")
	f(`{"version": "1", "price": []}`, `unknown field "price"`)
	f(entry(`"input": "1", "output": "2"`)+"{}", "after the end")
	f(entry(`"input": "1"`), "must be given")
	f(entry(`"input": "-1", "output": "2"`), `input: "-1" is not an amount`)
	f(entry(`"input": "1e3", "output": "2"`), "is not an amount")
	f(entry(`"input": "0.0000000001", "output": "2"`), "is not an amount")
	f(entry(`"input": "1", "output": "2", "effectiveTo": "2024-01-01"`), "must be after")
	f(entry(`"input": "1", "output": "2", "effectiveTo": "soon"`), `"soon" is neither`)
	f(`{"version": "1", "prices": [
		{"provider": "p", "model": "m", "effectiveFrom": "2025-01-01", "input": "1", "output": "1"},
		{"provider": "p", "model": "m", "effectiveFrom": "2025-01-01", "input": "2", "output": "2"}]}`, "two prices from 2025-01-01")
	f(`{"version": "1", "prices": [
		{"provider": "p", "model": "m", "effectiveFrom": "2025-01-01", "effectiveTo": "2025-03-01", "input": "1", "output": "1"},
		{"provider": "p", "model": "m", "effectiveFrom": "2025-02-01", "input": "2", "output": "2"}]}`, "two prices on 2025-02-01")
}
