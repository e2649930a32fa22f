package mapping

import (
	"strings"
	"time"

	"github.com/agenttrail/agenttrail/exporter/row"
	"github.com/agenttrail/agenttrail/schema/prices"
)

// Limits of what is remembered about models; a request may name any number of them.
const (
	maxModels    = 1024
	maxModelName = 256
)

type modelKey struct{ provider, model string }

// priceCache remembers which prices a model has, because finding them takes a while.
type priceCache struct {
	list  *prices.List
	known map[modelKey][]prices.Price
}

// find returns what a model cost at a moment, ns since the epoch.
func (c *priceCache) find(provider, model string, at int64) (prices.Price, bool) {
	if c.list == nil || model == "" || len(model) > maxModelName || len(provider) > maxModelName {
		return prices.Price{}, false
	}
	history, ok := c.known[modelKey{provider, model}]
	if !ok {
		history = c.list.History(provider, model)
		if c.known == nil || len(c.known) >= maxModels {
			c.known = map[modelKey][]prices.Price{}
		}
		// The names alias the request.
		c.known[modelKey{strings.Clone(provider), strings.Clone(model)}] = history
	}
	moment := time.Unix(0, at)
	for i := range history {
		if p := &history[i]; !moment.Before(p.EffectiveFrom) && (p.EffectiveTo.IsZero() || moment.Before(p.EffectiveTo)) {
			return *p, true
		}
	}
	return prices.Price{}, false
}

// priceOf returns what tokens cost by the list of prices, and the version of the list.
func (m *Mapper) priceOf(provider, model string, at int64, t row.Tokens) (row.Cost, string) {
	p, ok := m.prices.find(provider, model, at)
	if !ok {
		return row.Cost{}, ""
	}
	return row.Cost{NanoUSD: p.Cost(t.Input, t.Output, t.CacheRead, t.CacheWrite), Known: true}, p.Version
}

// priceSpan computes what a model call cost when its emitter tells its tokens and no cost. A run with a call that has
// no price has none either: a part of a cost would look like all of it.
func (m *Mapper) priceSpan(start uint64, n *node) {
	if (n.class != classInference && n.class != classEmbedding) || n.isRun || !n.use.known || n.use.cost.Known || n.tokensAbove || n.costAbove {
		return
	}
	n.use.cost, n.priceVersion = m.priceOf(n.provider, n.model, m.pricedAt(start), n.use.tokens)
	if n.run < 0 {
		return
	}
	r := &m.runs[n.run]
	if !n.use.cost.Known {
		r.unpriced = true
		return
	}
	r.priceVersion = n.priceVersion
}

// priceRun settles the cost of a run: its own, else that of its parts, else what its tokens cost by its model.
func (m *Mapper) priceRun(r *run, e *row.Execution) {
	if e.Cost.Known {
		return
	}
	if r.otherCost.Known {
		if !r.unpriced || r.priceVersion == "" {
			e.Cost, e.PriceVersion = r.otherCost, r.priceVersion
		}
		return
	}
	if !r.unpriced && !r.inferences.known && e.Tokens != (row.Tokens{}) {
		e.Cost, e.PriceVersion = m.priceOf(e.Provider, e.Model, e.StartedAt, e.Tokens)
	}
}

// pricedAt is the time at which something is priced.
func (m *Mapper) pricedAt(start uint64) int64 {
	if start == 0 || start > m.latest {
		return m.received
	}
	return int64(start) //nolint:gosec // Not after latest.
}
