package httpapi

import (
	"context"
	"net/http"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/coverage"
	"github.com/agenttrail/agenttrail/ledger"
)

func (a *API) registerCoverage() {
	add(a, operation{
		id: "getCoverage", method: http.MethodGet, path: "/v1/coverage", tag: "Coverage", summary: "Read the scorecard of what is recorded",
		description: "The newest one: a job computes it every few minutes. It has no categories before the first one, and where the ledger knows no ClickHouse. For keys of the platform.",
		scopes:      []ledger.Scope{ledger.ScopeAdmin},
	}, func(ctx context.Context, _ *struct{}) (*answer[coverage.Scorecard], error) {
		if actorOf(ctx).UserID != uuid.Nil {
			return nil, ledger.Errorf(ledger.CodeForbidden, "a key that acts for a user cannot read this")
		}
		card := coverage.Scorecard{Categories: []coverage.CategoryScore{}}
		if a.coverage == nil {
			return show(-1, card), nil
		}
		stored, ok, err := a.coverage.Coverage(ctx)
		switch {
		case err != nil:
			return nil, &ledger.Error{Code: ledger.CodeUnavailable, Message: "the telemetry cannot be read now", Err: err}
		case ok:
			card = stored
		}
		return show(-1, card), nil
	})
}
