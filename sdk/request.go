package agenttrail

import (
	"context"
	"sync"
)

// request is what the code that serves an HTTP request says about it.
type request struct {
	clientAddress, userAgent string

	mu       sync.Mutex
	identity Identity // Of the caller, then of the run that was planned or started.
	plans    int
	runs     int
	route    string
	err      error
	own      bool // SetRequestError gave err.
}

// note takes user and session.
func (q *request) note(id Identity) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if id.UserID != "" {
		q.identity.UserID = id.UserID
	}
	if id.SessionID != "" {
		q.identity.SessionID = id.SessionID
	}
	if q.runs+q.plans == 0 && id.ExecutionID != "" {
		q.identity.ExecutionID, q.identity.AgentID = id.ExecutionID, id.AgentID
	}
}

// notePlan takes the run that the request planned.
func (q *request) notePlan(id Identity) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.plans++
	q.take(id)
}

// noteRun takes the run that the request started, if that is not one below another or one that it planned.
func (q *request) noteRun(e *Execution) {
	if e.parent != nil && e.parent.scope.request == q {
		return
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	if q.plans > 0 && q.identity.ExecutionID == e.scope.identity.ExecutionID {
		return
	}
	q.runs++
	q.take(e.scope.identity)
}

// take makes the request that of a run. One that starts several is of none. The caller holds the lock.
func (q *request) take(id Identity) {
	fill(&id.UserID, q.identity.UserID)
	fill(&id.SessionID, q.identity.SessionID)
	if q.runs+q.plans > 1 {
		id.ExecutionID, id.AgentID = "", ""
	}
	q.identity = id
}

// tell takes the error of a run, unless the code said one.
func (q *request) tell(err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.own {
		q.err = err
	}
}

// SetRoute sets the route of the HTTP request that is served: the pattern with placeholders instead of ids, for routers
// other than [net/http.ServeMux], whose patterns are known.
func SetRoute(ctx context.Context, route string) {
	if q := scopeFrom(ctx).request; q != nil {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.route = route
	}
}

// SetRequestError says why the HTTP request that is served did not succeed: RequestLog.errorCode and errorMessage. Of a
// request that a run answers with its own error, the middleware knows.
func SetRequestError(ctx context.Context, err error) {
	if q := scopeFrom(ctx).request; q != nil && err != nil {
		q.mu.Lock()
		defer q.mu.Unlock()
		q.err, q.own = err, true
	}
}
