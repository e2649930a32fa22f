package ledgerclient

import (
	"context"

	"github.com/agenttrail/agenttrail/coverage"
)

// Coverage returns the newest scorecard of what is recorded. It has no categories before the first one was computed, and
// where the ledger knows no ClickHouse. The key needs the scope admin and must not act for a user.
func (c *Client) Coverage(ctx context.Context) (coverage.Scorecard, error) {
	return get[coverage.Scorecard](ctx, c, "/v1/coverage", nil)
}
