package chserver

import (
	"strconv"
	"sync"
	"time"

	"github.com/agenttrail/agenttrail/embedded/chdb"
)

// sessions are the named sessions (session_id): connections that live on between requests, with their temporary tables, SET
// and USE. As in ClickHouse they belong to a user, serve one request at a time and end after a time without any.
type sessions struct {
	mu    sync.Mutex
	byKey map[sessionKey]*session
}

type sessionKey struct{ user, id string }

type session struct {
	key     sessionKey
	conn    *chdb.Conn
	busy    bool
	timeout time.Duration
	expiry  *time.Timer
}

// sessionTimeout reads session_timeout.
func sessionTimeout(p urlParams) (time.Duration, error) {
	text, ok := p.lookup("session_timeout")
	if !ok {
		return defaultSessionTimeout, nil
	}
	seconds, err := strconv.ParseUint(text, 10, 32)
	if err != nil {
		return 0, newError(codeInvalidSessionTimeout, "Invalid session timeout: '%s'", text)
	}
	d := time.Duration(seconds) * time.Second
	if d > maxSessionTimeout {
		return 0, newError(codeInvalidSessionTimeout, "Session timeout '%s' is larger than max_session_timeout: %d. "+
			"Maximum session timeout could be modified in configuration file", text, int(maxSessionTimeout.Seconds()))
	}
	return d, nil
}

// acquire takes a session for one request; the caller releases it. check says that it must exist.
func (ss *sessions) acquire(key sessionKey, timeout time.Duration, check bool, connect func() (*chdb.Conn, error)) (*session, error) {
	ss.mu.Lock()
	s := ss.byKey[key]
	if s != nil {
		defer ss.mu.Unlock()
		if s.busy {
			return nil, newError(codeSessionIsLocked, "Session %s is locked by a concurrent client", key.id)
		}
		s.busy, s.timeout = true, timeout
		s.expiry.Stop()
		return s, nil
	}
	if check {
		ss.mu.Unlock()
		return nil, newError(codeSessionNotFound, "Session %s not found", key.id)
	}
	s = &session{key: key, busy: true, timeout: timeout}
	ss.byKey[key] = s // reserved while the connection is opened
	ss.mu.Unlock()
	conn, err := connect()
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if err != nil {
		delete(ss.byKey, key)
		return nil, err
	}
	s.conn = conn
	s.expiry = time.AfterFunc(time.Hour, func() { ss.expire(s) })
	s.expiry.Stop()
	return s, nil
}

// release ends the request's use of the session; closeNow ends the session too (close_session).
func (ss *sessions) release(s *session, closeNow bool) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	s.busy = false
	if closeNow {
		ss.closeLocked(s)
		return
	}
	s.expiry.Reset(s.timeout)
}

func (ss *sessions) expire(s *session) {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	if !s.busy {
		ss.closeLocked(s)
	}
}

func (ss *sessions) closeLocked(s *session) {
	if ss.byKey[s.key] != s {
		return
	}
	delete(ss.byKey, s.key)
	s.expiry.Stop()
	s.conn.Close()
}

// closeAll ends all sessions; no request may be running.
func (ss *sessions) closeAll() {
	ss.mu.Lock()
	defer ss.mu.Unlock()
	for _, s := range ss.byKey {
		ss.closeLocked(s)
	}
}
