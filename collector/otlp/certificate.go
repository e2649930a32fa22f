package otlp

import (
	"context"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"os"
	"time"

	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/otel/attribute"
	"go.opentelemetry.io/otel/metric"
)

// certificate is what a server shows to its clients.
type certificate struct {
	transport string
	file, pem string // Where it is, or itself.
	reloads   bool   // The server reads the file again while it runs.
	end       time.Time
}

// certificates returns those of the servers that have one.
func (c *Config) certificates() []*certificate {
	var list []*certificate
	if c.Protocols.GRPC.HasValue() {
		if t := c.Protocols.GRPC.Get().TLS; t.HasValue() {
			t := t.Get()
			list = append(list, &certificate{transport: "grpc", file: t.CertFile, pem: string(t.CertPem), reloads: t.ReloadInterval > 0})
		}
	}
	if c.Protocols.HTTP.HasValue() {
		if t := c.Protocols.HTTP.Get().ServerConfig.TLS; t.HasValue() {
			t := t.Get()
			list = append(list, &certificate{transport: "http", file: t.CertFile, pem: string(t.CertPem), reloads: t.ReloadInterval > 0})
		}
	}
	return list
}

// read reads when the certificate ends.
func (c *certificate) read() error {
	text := []byte(c.pem)
	if c.file != "" {
		var err error
		if text, err = os.ReadFile(c.file); err != nil {
			return fmt.Errorf("read certificate: %w", err)
		}
	}
	for {
		block, rest := pem.Decode(text)
		if block == nil {
			return errors.New("read certificate: there is none in PEM")
		}
		if block.Type == "CERTIFICATE" { // The first is the server's own, those after it lead to the authority.
			cert, err := x509.ParseCertificate(block.Bytes)
			if err != nil {
				return fmt.Errorf("read certificate: %w", err)
			}
			c.end = cert.NotAfter
			return nil
		}
		text = rest
	}
}

// observeCertificates reports when the certificates end that the servers show, so that somebody renews them before. A
// server that does not read its file again shows the certificate that it had at the start, however new the file is.
func observeCertificates(set receiver.Settings, cfg *Config) (stop func() error, err error) {
	list := cfg.certificates()
	for _, c := range list {
		if err := c.read(); err != nil {
			list = nil // The server refuses to start, and says why.
		}
	}
	if len(list) == 0 {
		return func() error { return nil }, nil
	}
	meter := set.MeterProvider.Meter("github.com/agenttrail/agenttrail/collector/otlp")
	gauge, err := meter.Float64ObservableGauge("otelcol_agenttrail_receiver_certificate_expiry", metric.WithUnit("s"),
		metric.WithDescription("When the certificate ends that the receiver shows to its clients, in Unix time."))
	if err != nil {
		return nil, fmt.Errorf("make metrics of certificates: %w", err)
	}
	registration, err := meter.RegisterCallback(func(_ context.Context, o metric.Observer) error {
		var errs []error
		for _, c := range list {
			if c.reloads {
				errs = append(errs, c.read())
			}
			o.ObserveFloat64(gauge, float64(c.end.Unix()), metric.WithAttributes(attribute.String("receiver", set.ID.String()), attribute.String("transport", c.transport)))
		}
		return errors.Join(errs...)
	}, gauge)
	if err != nil {
		return nil, fmt.Errorf("make metrics of certificates: %w", err)
	}
	return registration.Unregister, nil
}
