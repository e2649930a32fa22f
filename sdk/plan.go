package agenttrail

import (
	"context"
	"time"
)

// PlanExecution gives an id to a run that starts later, perhaps in another service: a server plans the run, injects the
// context that is returned into the message or request for the worker (see [Propagator]), and may answer with the id. The
// HTTP request that is served, and what is logged with the context, belong to the run from now on. [Trail.StartExecution]
// takes the id, the user, the session and the queue time from the context where it arrives. Times in r are not read,
// except QueuedAt, which is now when it is zero.
func (t *Trail) PlanExecution(ctx context.Context, r Run) (context.Context, string) {
	s := *scopeFrom(ctx)
	id := Identity{ExecutionID: r.ID, AgentID: r.Agent.ID, UserID: r.UserID, SessionID: r.SessionID}
	fill(&id.ExecutionID, newID())
	fill(&id.AgentID, r.Agent.Name)
	fill(&id.UserID, s.identity.UserID)
	fill(&id.SessionID, s.identity.SessionID)
	s.trail, s.identity, s.planned, s.queuedAt = t, id, true, r.QueuedAt
	if s.queuedAt.IsZero() {
		s.queuedAt = time.Now()
	}
	if s.request != nil {
		s.request.notePlan(id)
	}
	return withScope(ctx, &s), id.ExecutionID
}
