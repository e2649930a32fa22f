package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/agenttrail/agenttrail/ledger"
)

// ledgerKeyName is the file in the data folder with the secret of an API key that may do everything.
const ledgerKeyName = "ledger-admin-key"

// ensureAdminKey makes an API key with every scope unless the file has one, and returns the file. It is readable for its
// owner only. Remove the file to get a new key at the next start.
func (s *ledgerService) ensureAdminKey(ctx context.Context, dir string) (file string, err error) {
	file = filepath.Join(dir, ledgerKeyName)
	text, err := os.ReadFile(file)
	if err == nil {
		if _, err = s.store.Authenticate(ctx, string(trimNewline(text))); err == nil {
			return file, nil
		}
		switch ledger.CodeOf(err) {
		case ledger.CodeUnauthenticated, ledger.CodeKeyRevoked, ledger.CodeKeyExpired: // Of another database, or out of use.
		default:
			return "", fmt.Errorf("check API key of ledger: %w", err)
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("read API key of ledger: %w", err)
	}
	issued, err := s.store.CreateKey(ctx, &ledger.Call{Actor: ledger.System("up")}, ledger.KeyInput{
		Name: "admin of " + filepath.Base(dir), Scopes: []ledger.Scope{ledger.ScopeAdmin},
	})
	if err != nil {
		return "", fmt.Errorf("create API key of ledger: %w", err)
	}
	// In one step, and never readable for others.
	if err := os.WriteFile(file+".new", []byte(issued.Secret+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("write API key of ledger: %w", err)
	}
	if err := os.Rename(file+".new", file); err != nil {
		return "", fmt.Errorf("write API key of ledger: %w", err)
	}
	return file, nil
}

func trimNewline(text []byte) []byte {
	for len(text) > 0 && text[len(text)-1] == '\n' {
		text = text[:len(text)-1]
	}
	return text
}
