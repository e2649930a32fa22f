package agenttrail

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"strings"
	"time"

	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploggrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlplog/otlploghttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetricgrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlpmetric/otlpmetrichttp"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracegrpc"
	"go.opentelemetry.io/otel/exporters/otlp/otlptrace/otlptracehttp"
	sdklog "go.opentelemetry.io/otel/sdk/log"
	sdkmetric "go.opentelemetry.io/otel/sdk/metric"
	sdktrace "go.opentelemetry.io/otel/sdk/trace"
	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
)

// defaultTimeout is how long one request may take, unless OTEL_EXPORTER_OTLP_TIMEOUT says something else.
const defaultTimeout = 10 * time.Second

const gzip = "gzip"

// grpcReconnect lets connections come back as fast as requests are sent again; gRPC itself waits for up to two minutes.
var grpcReconnect = grpc.WithConnectParams(grpc.ConnectParams{
	Backoff:           backoff.Config{BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 5 * time.Second},
	MinConnectTimeout: 5 * time.Second,
})

// address returns where a signal goes, "" when the variables say it, which the exporter reads by itself.
func (c *config) address(s signal) string {
	grpc := c.protocolOf(s) == protocolGRPC
	base := c.endpoint
	if base == "" {
		if otlpVariable(s, "ENDPOINT") != "" {
			return ""
		}
		if base = "http://localhost:4318"; grpc {
			base = "http://localhost:4317"
		}
	}
	if grpc {
		return base
	}
	return strings.TrimSuffix(base, "/") + "/v1/" + strings.ToLower(string(s))
}

// compression is gzip unless the variables say something.
func compression(s signal) string {
	if otlpVariable(s, "COMPRESSION") != "" {
		return ""
	}
	return gzip
}

func (c *config) openSpanExporter(ctx context.Context) (sdktrace.SpanExporter, error) {
	if c.protocolOf(signalTraces) == protocolGRPC {
		opts := []otlptracegrpc.Option{otlptracegrpc.WithRetry(otlptracegrpc.RetryConfig{}), otlptracegrpc.WithDialOption(grpcReconnect)}
		if a := c.address(signalTraces); a != "" {
			opts = append(opts, otlptracegrpc.WithEndpointURL(a))
		}
		if compression(signalTraces) != "" {
			opts = append(opts, otlptracegrpc.WithCompressor(gzip))
		}
		if c.headers != nil {
			opts = append(opts, otlptracegrpc.WithHeaders(c.headers))
		}
		return wrapOpen(otlptracegrpc.New(ctx, opts...))("trace")
	}
	client, err := c.httpClient(signalTraces)
	if err != nil {
		return nil, err
	}
	opts := []otlptracehttp.Option{otlptracehttp.WithRetry(otlptracehttp.RetryConfig{}), otlptracehttp.WithHTTPClient(client)}
	if a := c.address(signalTraces); a != "" {
		opts = append(opts, otlptracehttp.WithEndpointURL(a))
	}
	if compression(signalTraces) != "" {
		opts = append(opts, otlptracehttp.WithCompression(otlptracehttp.GzipCompression))
	}
	if c.headers != nil {
		opts = append(opts, otlptracehttp.WithHeaders(c.headers))
	}
	return wrapOpen(otlptracehttp.New(ctx, opts...))("trace")
}

func (c *config) openLogExporter(ctx context.Context) (sdklog.Exporter, error) {
	if c.protocolOf(signalLogs) == protocolGRPC {
		opts := []otlploggrpc.Option{otlploggrpc.WithRetry(otlploggrpc.RetryConfig{}), otlploggrpc.WithDialOption(grpcReconnect)}
		if a := c.address(signalLogs); a != "" {
			opts = append(opts, otlploggrpc.WithEndpointURL(a))
		}
		if compression(signalLogs) != "" {
			opts = append(opts, otlploggrpc.WithCompressor(gzip))
		}
		if c.headers != nil {
			opts = append(opts, otlploggrpc.WithHeaders(c.headers))
		}
		return wrapOpen(otlploggrpc.New(ctx, opts...))("log")
	}
	client, err := c.httpClient(signalLogs)
	if err != nil {
		return nil, err
	}
	opts := []otlploghttp.Option{otlploghttp.WithRetry(otlploghttp.RetryConfig{}), otlploghttp.WithHTTPClient(client)}
	if a := c.address(signalLogs); a != "" {
		opts = append(opts, otlploghttp.WithEndpointURL(a))
	}
	if compression(signalLogs) != "" {
		opts = append(opts, otlploghttp.WithCompression(otlploghttp.GzipCompression))
	}
	if c.headers != nil {
		opts = append(opts, otlploghttp.WithHeaders(c.headers))
	}
	return wrapOpen(otlploghttp.New(ctx, opts...))("log")
}

func (c *config) openMetricExporter(ctx context.Context) (sdkmetric.Exporter, error) {
	if c.protocolOf(signalMetrics) == protocolGRPC {
		opts := []otlpmetricgrpc.Option{otlpmetricgrpc.WithRetry(otlpmetricgrpc.RetryConfig{}), otlpmetricgrpc.WithDialOption(grpcReconnect)}
		if a := c.address(signalMetrics); a != "" {
			opts = append(opts, otlpmetricgrpc.WithEndpointURL(a))
		}
		if compression(signalMetrics) != "" {
			opts = append(opts, otlpmetricgrpc.WithCompressor(gzip))
		}
		if c.headers != nil {
			opts = append(opts, otlpmetricgrpc.WithHeaders(c.headers))
		}
		return wrapOpen(otlpmetricgrpc.New(ctx, opts...))("metric")
	}
	client, err := c.httpClient(signalMetrics)
	if err != nil {
		return nil, err
	}
	opts := []otlpmetrichttp.Option{otlpmetrichttp.WithRetry(otlpmetrichttp.RetryConfig{}), otlpmetrichttp.WithHTTPClient(client)}
	if a := c.address(signalMetrics); a != "" {
		opts = append(opts, otlpmetrichttp.WithEndpointURL(a))
	}
	if compression(signalMetrics) != "" {
		opts = append(opts, otlpmetrichttp.WithCompression(otlpmetrichttp.GzipCompression))
	}
	if c.headers != nil {
		opts = append(opts, otlpmetrichttp.WithHeaders(c.headers))
	}
	return wrapOpen(otlpmetrichttp.New(ctx, opts...))("metric")
}

// wrapOpen says which exporter could not be opened.
func wrapOpen[T any](exporter T, err error) func(string) (T, error) {
	return func(kind string) (T, error) {
		if err != nil {
			return exporter, fmt.Errorf("open %s exporter: %w", kind, err)
		}
		return exporter, nil
	}
}

// httpClient makes the client of an exporter, which tells how a request was answered. Because the exporter reads neither
// timeout nor certificates then, they are read here.
func (c *config) httpClient(s signal) (*http.Client, error) {
	timeout := c.timeout
	for _, name := range []string{"OTEL_EXPORTER_OTLP_TIMEOUT", "OTEL_EXPORTER_OTLP_" + string(s) + "_TIMEOUT"} {
		if err := readMillis(name, &timeout); err != nil {
			return nil, err
		}
	}
	security, err := tlsConfig(s)
	if err != nil {
		return nil, err
	}
	transport := &http.Transport{
		Proxy: http.ProxyFromEnvironment, TLSClientConfig: security, ForceAttemptHTTP2: true,
		TLSHandshakeTimeout: timeout, IdleConnTimeout: 90 * time.Second, MaxIdleConnsPerHost: 1,
	}
	return &http.Client{Transport: answerReader{transport}, Timeout: timeout}, nil
}

// tlsConfig reads the certificates of OTEL_EXPORTER_OTLP_CERTIFICATE and its like; nil without any.
func tlsConfig(s signal) (*tls.Config, error) {
	var cfg tls.Config
	authority, certificate, key := otlpVariable(s, "CERTIFICATE"), otlpVariable(s, "CLIENT_CERTIFICATE"), otlpVariable(s, "CLIENT_KEY")
	if authority == "" && certificate == "" && key == "" {
		return nil, nil //nolint:nilnil // No TLS settings are the default ones.
	}
	if authority != "" {
		pem, err := os.ReadFile(authority)
		if err != nil {
			return nil, fmt.Errorf("read certificate of the collector: %w", err)
		}
		cfg.RootCAs = x509.NewCertPool()
		if !cfg.RootCAs.AppendCertsFromPEM(pem) {
			return nil, errors.New("read certificate of the collector: " + authority + " holds none")
		}
	}
	if certificate != "" || key != "" {
		pair, err := tls.LoadX509KeyPair(certificate, key)
		if err != nil {
			return nil, fmt.Errorf("read client certificate: %w", err)
		}
		cfg.Certificates = []tls.Certificate{pair}
	}
	cfg.MinVersion = tls.VersionTLS12
	return &cfg, nil
}
