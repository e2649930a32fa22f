package faults

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"sync/atomic"

	toxiproxy "github.com/Shopify/toxiproxy/v2"
	"github.com/rs/zerolog"
)

// direction is that of the bytes a toxic acts on, as toxiproxy names it.
type direction string

const (
	toServer   direction = "upstream"
	fromServer direction = "downstream"
)

// proxies are what stands between the parts.
type proxies struct {
	clickhouse, grpc, http *toxiproxy.Proxy
	count                  atomic.Int64
}

// network are the addresses of the parts. Each run has loopback addresses of its own, so that its servers come back to
// their ports whatever else runs on the machine.
type network struct {
	clickhouse, grpc, http                string // Where the servers listen.
	clickhouseProxy, grpcProxy, httpProxy string // Where their clients find them.
}

func newNetwork(host string) network {
	return network{
		clickhouse: host + ":8123", grpc: host + ":4317", http: host + ":4318",
		clickhouseProxy: host + ":18123", grpcProxy: host + ":14317", httpProxy: host + ":14318",
	}
}

func startProxies(n *network) (*proxies, error) {
	zerolog.SetGlobalLevel(zerolog.Disabled) // toxiproxy tells of each connection.
	server := toxiproxy.NewServer(toxiproxy.NewMetricsContainer(nil), zerolog.Nop())
	p := &proxies{
		clickhouse: toxiproxy.NewProxy(server, "clickhouse", n.clickhouseProxy, n.clickhouse),
		grpc:       toxiproxy.NewProxy(server, "grpc", n.grpcProxy, n.grpc),
		http:       toxiproxy.NewProxy(server, "http", n.httpProxy, n.http),
	}
	for _, proxy := range []*toxiproxy.Proxy{p.clickhouse, p.grpc, p.http} {
		if err := proxy.Start(); err != nil {
			return nil, fmt.Errorf("start proxy: %w", err)
		}
	}
	return p, nil
}

// add adds a toxic to a proxy and returns what takes it away.
func (p *proxies) add(proxy *toxiproxy.Proxy, kind string, dir direction, attributes map[string]any) (func() error, error) {
	name := fmt.Sprintf("%s-%d", kind, p.count.Add(1))
	text, err := json.Marshal(map[string]any{"name": name, "type": kind, "stream": dir, "toxicity": 1, "attributes": attributes})
	if err != nil {
		return nil, fmt.Errorf("write toxic: %w", err)
	}
	if _, err := proxy.Toxics.AddToxicJson(bytes.NewReader(text)); err != nil {
		return nil, fmt.Errorf("add toxic %s: %w", kind, err)
	}
	return func() error {
		if err := proxy.Toxics.RemoveToxic(context.Background(), name); err != nil {
			return fmt.Errorf("remove toxic %s: %w", kind, err)
		}
		return nil
	}, nil
}
