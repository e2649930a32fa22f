package chserver

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
)

// errAuthentication is ClickHouse's answer to a wrong name or password; it does not tell which.
func errAuthentication(user string) *serverError {
	return newError(codeAuthenticationFailed, "%s: Authentication failed: password is incorrect, or there is no user with such name", user)
}

// authenticate finds the user of a request (src/Server/HTTP/authenticateUserByHTTP.cpp): X-ClickHouse-User and -Key headers,
// or HTTP basic authentication, or user and password in the URL, but only one of them.
func (s *Server) authenticate(r *http.Request, p urlParams) (User, error) {
	user, password := r.Header.Get("X-ClickHouse-User"), r.Header.Get("X-ClickHouse-Key")
	byHeaders := user != "" || password != "" || r.Header.Get("X-ClickHouse-Quota") != ""
	byBasic := r.Header.Get("Authorization") != ""
	urlUser, hasUser := p.lookup("user")
	urlPassword, hasPassword := p.lookup("password")
	byURL := hasUser || hasPassword

	switch {
	case byHeaders && byBasic:
		return User{}, newError(codeAuthenticationFailed, "Invalid authentication: it is not allowed to use X-ClickHouse HTTP headers and Authorization HTTP header simultaneously")
	case byHeaders && byURL:
		return User{}, newError(codeAuthenticationFailed, "Invalid authentication: it is not allowed to use X-ClickHouse HTTP headers and authentication via parameters simultaneously")
	case byBasic && byURL:
		return User{}, newError(codeAuthenticationFailed, "Invalid authentication: it is not allowed to use Authorization HTTP header and authentication via parameters simultaneously")
	case byHeaders:
	case byBasic:
		var ok bool
		if user, password, ok = r.BasicAuth(); !ok {
			return User{}, newError(codeAuthenticationFailed, "Invalid authentication: only 'Basic' HTTP Authorization scheme is supported")
		}
	default:
		user, password = urlUser, urlPassword
		if !hasUser {
			user = "default"
		}
	}
	if user == "" {
		user = "default"
	}
	for _, u := range s.cfg.Users {
		if u.Name == user {
			// Hashed first, so that the time tells nothing about the password's length.
			want, got := sha256.Sum256([]byte(u.Password)), sha256.Sum256([]byte(password))
			if subtle.ConstantTimeCompare(want[:], got[:]) == 1 {
				return u, nil
			}
			break
		}
	}
	return User{}, errAuthentication(user)
}
