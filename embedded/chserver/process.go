package chserver

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/agenttrail/agenttrail/embedded/chdb"
)

// The engine makes its own id for a statement and takes none from outside. So that a statement can be found from another
// connection, its id is put into a setting that has no effect here: it only names results in the query cache, which the
// embedded engine does not have. It shows in system.processes.
const idSetting = "query_cache_tag"

// killInterval is how often KILL QUERY is repeated until the statement has ended: the first may come before the engine
// has registered the statement.
const killInterval = 50 * time.Millisecond

// processes are the statements that run now, by query id.
type processes struct {
	mu   sync.Mutex
	byID map[string]*process
}

// process is one running statement.
type process struct {
	id     string
	cancel context.CancelFunc
	done   chan struct{}
}

// start registers a statement. replace says to end a running one with the same id first (replace_running_query).
func (ps *processes) start(ctx context.Context, id string, replace bool, cancel context.CancelFunc) (*process, error) {
	for {
		ps.mu.Lock()
		old := ps.byID[id]
		if old == nil {
			p := &process{id: id, cancel: cancel, done: make(chan struct{})}
			ps.byID[id] = p
			ps.mu.Unlock()
			return p, nil
		}
		ps.mu.Unlock()
		if !replace {
			return nil, newError(codeQueryIDInUse, "Query with id = %s is already running", id)
		}
		old.cancel()
		select {
		case <-old.done:
		case <-ctx.Done():
			return nil, newError(codeQueryIDInUse, "Query with id = %s is already running and can't be stopped", id)
		}
	}
}

// end forgets a statement.
func (ps *processes) end(p *process) {
	ps.mu.Lock()
	delete(ps.byID, p.id)
	ps.mu.Unlock()
	close(p.done)
}

// cancelAll cancels all running statements.
func (ps *processes) cancelAll() {
	ps.mu.Lock()
	defer ps.mu.Unlock()
	for _, p := range ps.byID {
		p.cancel()
	}
}

// killOnCancel kills the statement in the engine when ctx ends before stop is called. stop waits until no kill is under
// way any more.
func (s *Server) killOnCancel(ctx context.Context, id string) (stop func()) {
	ended, finished := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(finished)
		select {
		case <-ended:
			return
		case <-ctx.Done():
		}
		conn, err := s.engine.Connect(map[string]string{"implicit_select": "0"})
		if err != nil {
			s.log.ErrorContext(ctx, "cannot cancel a statement", "query_id", id, "error", err)
			return
		}
		defer conn.Close()
		tick := time.NewTicker(killInterval)
		defer tick.Stop()
		for {
			err := conn.Exec("KILL QUERY WHERE Settings['"+idSetting+"'] = {id:String} ASYNC", chdb.Param{Name: "id", Value: escapeParam(id)})
			if err != nil {
				s.log.WarnContext(ctx, "cannot cancel a statement; trying again", "query_id", id, "error", err)
			}
			select {
			case <-ended:
				return
			case <-tick.C:
			}
		}
	}()
	return sync.OnceFunc(func() {
		close(ended)
		<-finished
	})
}

// rewriteKill makes KILL QUERY … query_id … find statements by the id their clients gave or were given.
func rewriteKill(sql string) string {
	var out strings.Builder
	l := lexer{sql: sql}
	from := 0
	for tok := l.next(); tok.kind != tokenEnd; tok = l.next() {
		name := sql[tok.start:tok.end]
		if (tok.kind == tokenWord || tok.kind == tokenQuotedName) && strings.Trim(name, "`\"") == "query_id" {
			out.WriteString(sql[from:tok.start])
			out.WriteString("(Settings['" + idSetting + "'])")
			from = tok.end
		}
	}
	out.WriteString(sql[from:])
	return out.String()
}

// escapeParam writes a value in ClickHouse's Escaped form, the one parameters are read in.
func escapeParam(s string) string {
	return strings.NewReplacer("\\", "\\\\", "\t", "\\t", "\n", "\\n", "\r", "\\r", "\b", "\\b", "\f", "\\f", "\x00", "\\0").Replace(s)
}

// quoteString writes a string literal.
func quoteString(s string) string {
	return "'" + strings.NewReplacer("\\", "\\\\", "'", "\\'").Replace(s) + "'"
}

// quoteName writes an identifier.
func quoteName(s string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(s) + "`"
}
