package coverage

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
)

// Scorecard is what came out of all checks at one moment.
type Scorecard struct {
	ComputedAt time.Time `json:"computedAt,omitzero"` // end of the time that was looked at
	Since      time.Time `json:"since,omitzero"`      // and its beginning
	// Score is 0 to 10: the mean of the categories that have one; nil when none has.
	Score      *float64        `json:"score"`
	Categories []CategoryScore `json:"categories"`
}

// CategoryScore is the result of one category.
type CategoryScore struct {
	Category Category `json:"category"`
	// Score is 0 to 10: the mean of the checks that have one, by their weights; nil when none has.
	Score  *float64     `json:"score"`
	Checks []CheckScore `json:"checks"`
}

// CheckScore is the result of one check.
type CheckScore struct {
	Check string `json:"check"`
	// Score is 0 to 10, ten times the value; nil when there was nothing to measure, or nobody was asked.
	Score *float64 `json:"score"`
	// Value is the share of Total that is as it should be, 0 to 1.
	Value     *float64 `json:"value"`
	Target    float64  `json:"target"`
	Weight    float64  `json:"weight"`
	Total     int64    `json:"total"`
	Offenders int64    `json:"offenders"`
	Evidence  string   `json:"evidence"`
	Query     string   `json:"query"`
	Database  Database `json:"database"`
	Remedy    string   `json:"remedy"`
	// Skipped says that the check's database was not given.
	Skipped bool `json:"skipped,omitempty"`
}

// BelowTarget tells whether something is to be done.
func (c *CheckScore) BelowTarget() bool { return c.Value != nil && *c.Value < c.Target }

// Worst are the checks that are below their target, those first by which their category loses most.
func (s *Scorecard) Worst() []CheckScore {
	type lossy struct {
		CheckScore
		lost float64
	}
	var list []lossy
	for _, category := range s.Categories {
		var weights float64
		for _, c := range category.Checks {
			if c.Score != nil {
				weights += c.Weight
			}
		}
		for _, c := range category.Checks {
			if c.BelowTarget() {
				list = append(list, lossy{c, (10 - *c.Score) * c.Weight / weights})
			}
		}
	}
	slices.SortStableFunc(list, func(a, b lossy) int {
		switch {
		case a.lost > b.lost:
			return -1
		case a.lost < b.lost:
			return 1
		default:
			return 0
		}
	})
	worst := make([]CheckScore, len(list))
	for i := range list {
		worst[i] = list[i].CheckScore
	}
	return worst
}

// judge makes the result of a check of its two numbers.
func (c *Check) judge(w Window, total, offenders int64) (CheckScore, error) {
	s := c.empty(w)
	if total < 0 || offenders < 0 || offenders > total {
		return s, fmt.Errorf("check %s: %d of %d cannot be", c.Name, offenders, total)
	}
	s.Total, s.Offenders, s.Evidence = total, offenders, c.evidence(total, offenders)
	if total > 0 {
		value := float64(total-offenders) / float64(total)
		score := 10 * value
		s.Value, s.Score = &value, &score
	}
	return s, nil
}

// empty is a result without numbers.
func (c *Check) empty(w Window) CheckScore {
	return CheckScore{Check: c.Name, Target: c.Target, Weight: c.Weight, Database: c.Database, Query: c.OffendersQuery(w), Remedy: c.Remedy}
}

// evidence says what was found in a sentence.
func (c *Check) evidence(total, offenders int64) string {
	switch {
	case total == 0:
		return "nothing to measure: no " + c.Of
	case c.Lacks == "" && offenders > 0:
		return "no " + c.Of
	case c.Lacks == "":
		return "there are " + c.Of
	case offenders == 0:
		return Count(total) + " " + c.Of + ", none " + c.Lacks
	default:
		return Count(total) + " " + c.Of + ", " + Count(offenders) + " " + c.Lacks
	}
}

// Count writes a number with commas between thousands.
func Count(n int64) string {
	s := strconv.FormatInt(n, 10)
	for i := len(s) - 3; i > 0 && s[i-1] != '-'; i -= 3 {
		s = s[:i] + "," + s[i:]
	}
	return s
}

// Show writes a score with one digit after the point, rounded down, so that only what is perfect is shown as 10.0; a dash
// when there is none.
func Show(score *float64) string {
	if score == nil {
		return "–"
	}
	return strconv.FormatFloat(math.Floor(*score*10+1e-9)/10, 'f', 1, 64)
}

// sum computes the scores of categories and of all from those of checks.
func (s *Scorecard) sum() {
	var all mean
	for i := range s.Categories {
		var m mean
		for _, c := range s.Categories[i].Checks {
			m.add(c.Score, c.Weight)
		}
		s.Categories[i].Score = m.value()
		all.add(s.Categories[i].Score, 1)
	}
	s.Score = all.value()
}

// mean is a weighted mean of what is there.
type mean struct{ sum, weights float64 }

func (m *mean) add(score *float64, weight float64) {
	if score != nil {
		m.sum += *score * weight
		m.weights += weight
	}
}

func (m *mean) value() *float64 {
	if m.weights == 0 {
		return nil
	}
	v := m.sum / m.weights
	return &v
}
