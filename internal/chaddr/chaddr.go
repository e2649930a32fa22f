// Package chaddr reads addresses of ClickHouse as all of AgentTrail takes them: those of its HTTP interface.
package chaddr

import (
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
)

// Parse reads http://user:password@host:port, or https:// with the certificates that the system trusts, and those in the
// folder that SSL_CERT_DIR names.
func Parse(address string) (*clickhouse.Options, error) {
	if strings.HasPrefix(address, "https://") {
		// clickhouse-go wants to be told twice, while ClickHouse would take it for a setting.
		u, err := url.Parse(address)
		if err != nil {
			return nil, errors.New("read clickhouse address: it is no URL: characters such as # and / within a password are written as %23 and %2F")
		}
		q := u.Query()
		q.Set("secure", "true")
		u.RawQuery = q.Encode()
		address = u.String()
	}
	opts, err := clickhouse.ParseDSN(address)
	if err != nil {
		return nil, fmt.Errorf("read clickhouse address: %w", err)
	}
	if opts.Protocol != clickhouse.HTTP {
		return nil, errors.New("the clickhouse address must start with http:// or https://, such as http://127.0.0.1:8123")
	}
	return opts, nil
}
