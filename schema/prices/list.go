package prices

import (
	"cmp"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/big"
	"regexp"
	"slices"
	"strings"
	"time"
)

//go:embed modelprices.json
var shipped string

// List is a version of the prices of all models. It does not change, so many goroutines may use it.
type List struct {
	version string
	prices  []Price            // By provider, model and time.
	models  map[string][]Price // The same, by provider and model.
	sellers map[string][]string
	aliases map[string]string
}

// The JSON file.
type (
	file struct {
		Version string              `json:"version"`
		AsOf    string              `json:"asOf"`
		About   string              `json:"about"`
		Aliases map[string][]string `json:"aliases"`
		Prices  []entry             `json:"prices"`
	}
	entry struct {
		Provider      string `json:"provider"`
		Model         string `json:"model"`
		EffectiveFrom string `json:"effectiveFrom"`
		EffectiveTo   string `json:"effectiveTo"`
		Input         string `json:"input"`
		Output        string `json:"output"`
		CacheRead     string `json:"cacheRead"`
		CacheWrite    string `json:"cacheWrite"`
		Source        string `json:"source"`
	}
)

// Shipped returns the list that this release ships.
func Shipped() (*List, error) {
	l, err := Load(strings.NewReader(shipped))
	if err != nil {
		return nil, fmt.Errorf("BUG: the shipped list: %w", err)
	}
	return l, nil
}

// Load reads a list. The error names every entry that is wrong.
func Load(r io.Reader) (*List, error) {
	var f file
	d := json.NewDecoder(r)
	d.DisallowUnknownFields()
	if err := d.Decode(&f); err != nil {
		return nil, fmt.Errorf("read prices: %w", err)
	}
	if _, err := d.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("read prices: there is something after the end of the list")
	}
	var errs []error
	all := make([]Price, 0, len(f.Prices))
	for i, e := range f.Prices {
		p, err := e.price(f.Version)
		if err != nil {
			errs = append(errs, fmt.Errorf("entry %d, %s %s: %w", i+1, e.Provider, e.Model, err))
			continue
		}
		all = append(all, p)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, fmt.Errorf("read prices: %w", err)
	}
	return New(f.Version, all, f.Aliases)
}

// New makes a list of prices that were read elsewhere. aliases are other names of providers, by provider.
func New(version string, all []Price, aliases map[string][]string) (*List, error) {
	if strings.TrimSpace(version) == "" {
		return nil, errors.New("read prices: the list has no version; give it one, such as the date, that changes with every change of the list")
	}
	if len(all) == 0 {
		return nil, errors.New("read prices: the list is empty")
	}
	l := &List{version: version, prices: slices.Clone(all), models: map[string][]Price{}, sellers: map[string][]string{}, aliases: map[string]string{}}
	slices.SortFunc(l.prices, func(a, b Price) int {
		return cmp.Or(strings.Compare(a.Provider, b.Provider), strings.Compare(a.Model, b.Model), a.EffectiveFrom.Compare(b.EffectiveFrom))
	})
	for i, p := range l.prices {
		key := p.Provider + "/" + p.Model
		if i > 0 && l.prices[i-1].Provider == p.Provider && l.prices[i-1].Model == p.Model {
			before := &l.prices[i-1]
			switch {
			case before.EffectiveTo.IsZero():
				before.EffectiveTo = p.EffectiveFrom
			case before.EffectiveTo.After(p.EffectiveFrom):
				return nil, fmt.Errorf("read prices: %s has two prices on %s; end one where the other begins", key, p.EffectiveFrom.Format(time.DateOnly))
			}
			if !before.EffectiveTo.After(before.EffectiveFrom) {
				return nil, fmt.Errorf("read prices: %s has two prices from %s", key, p.EffectiveFrom.Format(time.DateOnly))
			}
		}
	}
	for _, p := range l.prices {
		key := p.Provider + "/" + p.Model
		if l.models[key] = append(l.models[key], p); len(l.models[key]) == 1 {
			l.sellers[p.Model] = append(l.sellers[p.Model], p.Provider)
		}
		l.aliases[p.Provider] = p.Provider
	}
	for provider, others := range aliases {
		for _, other := range others {
			other = strings.ToLower(other)
			if was := l.aliases[other]; was != "" && was != provider {
				return nil, fmt.Errorf("read prices: %s is another name of both %s and %s", other, was, provider)
			}
			l.aliases[other] = provider
		}
	}
	return l, nil
}

// Version names the list.
func (l *List) Version() string { return l.version }

// All returns every price, by provider, model and time.
func (l *List) All() []Price { return slices.Clone(l.prices) }

// Aliases are the other names of each provider.
func (l *List) Aliases() map[string][]string {
	aliases := map[string][]string{}
	for _, other := range slices.Sorted(maps.Keys(l.aliases)) {
		if p := l.aliases[other]; p != other {
			aliases[p] = append(aliases[p], other)
		}
	}
	return aliases
}

// Find returns what a model costs at a moment. See the package for how names are read.
func (l *List) Find(provider, model string, at time.Time) (Price, bool) {
	for _, p := range l.History(provider, model) {
		if !at.Before(p.EffectiveFrom) && (p.EffectiveTo.IsZero() || at.Before(p.EffectiveTo)) {
			return p, true
		}
	}
	return Price{}, false
}

// History returns all prices of the model that Find takes for these names, oldest first.
func (l *List) History(provider, model string) []Price {
	provider = strings.ToLower(strings.TrimSpace(provider))
	if provider != "" {
		if provider = l.aliases[provider]; provider == "" {
			return nil
		}
	}
	name := strings.ToLower(strings.TrimSpace(model))
	for _, shorten := range []func(string) string{asItIs, withoutPrefix, withoutVersion} {
		name = shorten(name)
		seller := provider
		if seller == "" {
			if len(l.sellers[name]) != 1 {
				continue
			}
			seller = l.sellers[name][0]
		}
		if found := l.models[seller+"/"+name]; found != nil {
			return found
		}
	}
	return nil
}

func asItIs(name string) string { return name }

var bedrock = regexp.MustCompile(`^([a-z]{2,6}(-gov)?\.)?(anthropic|amazon|cohere|meta|mistral)\.`)

func withoutPrefix(name string) string {
	return bedrock.ReplaceAllString(name[strings.LastIndexByte(name, '/')+1:], "")
}

var versions = []*regexp.Regexp{
	regexp.MustCompile(`(-v\d+)?(:\d+)?$`),
	regexp.MustCompile(`(-latest|-\d{3}|-\d{4}-\d{2}-\d{2}|[-@]20\d{6})$`),
}

func withoutVersion(name string) string {
	for _, v := range versions {
		name = v.ReplaceAllString(name, "")
	}
	return name
}

func (e *entry) price(version string) (Price, error) {
	var errs []error
	amount := func(name, text string, otherwise int64) int64 {
		if text == "" {
			return otherwise
		}
		n, err := parseNano(text)
		if err != nil {
			errs = append(errs, fmt.Errorf("%s: %w", name, err))
		}
		return n
	}
	moment := func(name, text string) time.Time {
		if text == "" {
			return time.Time{}
		}
		t, err := time.Parse(time.DateOnly, text)
		if err != nil {
			if t, err = time.Parse(time.RFC3339, text); err != nil || t.Nanosecond() != 0 {
				errs = append(errs, fmt.Errorf("%s: %q is neither a date such as 2025-08-07 nor a time such as 2025-08-07T17:00:00Z", name, text))
			}
		}
		return t.UTC()
	}
	p := Price{
		Version: version, Provider: strings.ToLower(e.Provider), Model: strings.ToLower(e.Model), Source: e.Source,
		EffectiveFrom: moment("effectiveFrom", e.EffectiveFrom), EffectiveTo: moment("effectiveTo", e.EffectiveTo),
		Input: amount("input", e.Input, 0), Output: amount("output", e.Output, 0),
	}
	p.CacheRead, p.CacheWrite = amount("cacheRead", e.CacheRead, p.Input), amount("cacheWrite", e.CacheWrite, p.Input)
	if e.Provider == "" || e.Model == "" || e.EffectiveFrom == "" || e.Input == "" || e.Output == "" {
		errs = append(errs, errors.New("provider, model, effectiveFrom, input and output must be given"))
	}
	if !p.EffectiveTo.IsZero() && !p.EffectiveTo.After(p.EffectiveFrom) {
		errs = append(errs, errors.New("effectiveTo must be after effectiveFrom"))
	}
	return p, errors.Join(errs...)
}

var amountRule = regexp.MustCompile(`^\d{1,6}(\.\d{1,9})?$`)

// parseNano reads USD as billionths of USD.
func parseNano(text string) (int64, error) {
	if !amountRule.MatchString(text) {
		return 0, fmt.Errorf("%q is not an amount of USD such as 1.25, with up to 6 digits before the point and 9 behind it", text)
	}
	r, _ := new(big.Rat).SetString(text)
	r.Mul(r, big.NewRat(1e9, 1))
	return r.Num().Int64(), nil
}
