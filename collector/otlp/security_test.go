package otlp_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componenttest"
	"go.opentelemetry.io/collector/extension/extensionauth"
	"go.opentelemetry.io/otel/sdk/metric/metricdata"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"

	"github.com/agenttrail/agenttrail/collector/otlp"
	"github.com/agenttrail/agenttrail/exporter/direct"
)

// clientSettings say what the client of a receiver needs, and what its host has.
type clientSettings struct {
	tls        *tls.Config
	extensions map[component.ID]component.Component
}

func (c clientSettings) host() component.Host {
	return host{Host: componenttest.NewNopHost(), extensions: c.extensions}
}

type host struct {
	component.Host
	extensions map[component.ID]component.Component
}

func (h host) GetExtensions() map[component.ID]component.Component { return h.extensions }

// guard is an extension that lets in who knows the word.
type guard struct {
	component.StartFunc
	component.ShutdownFunc
}

var _ extensionauth.Server = guard{}

type guestKey struct{}

func (guard) Authenticate(ctx context.Context, sources map[string][]string) (context.Context, error) {
	for _, key := range []string{"authorization", "Authorization"} {
		if v := sources[key]; len(v) == 1 && v[0] == "Bearer sesame" {
			return context.WithValue(ctx, guestKey{}, "Ali Baba"), nil
		}
	}
	return ctx, errors.New("the cave stays closed")
}

func TestWhoMustNotSendIsRefusedAsByTheStandardReceiver(t *testing.T) {
	t.Parallel()
	settings := local()
	for _, p := range settings["protocols"].(map[string]any) {
		p.(map[string]any)["auth"] = map[string]any{"authenticator": "guard"}
	}
	standard, ways := three(t, settings, clientSettings{extensions: map[component.ID]component.Component{component.MustNewID("guard"): guard{}}})
	m, _ := signals[0].request(t)
	r := httpRequest{method: http.MethodPost, path: "/v1/traces", content: contentProtobuf, body: protobuf(t, m)}
	admitted := r
	admitted.header = map[string]string{"Authorization": "Bearer sesame"}
	withWord := metadata.AppendToOutgoingContext(t.Context(), "authorization", "Bearer sesame")

	wantHTTP := standard.send(t, r)
	require.Equal(t, http.StatusUnauthorized, wantHTTP.code)
	wantGRPC := standard.call(t.Context(), signals[0].method, "", r.body)
	require.Equal(t, codes.Unauthenticated, wantGRPC.status.Code())
	require.Empty(t, standard.received())
	for kind, s := range ways {
		var mu sync.Mutex
		var guests []any
		s.hold = func(ctx context.Context, _ direct.Signal) {
			mu.Lock()
			defer mu.Unlock()
			guests = append(guests, ctx.Value(guestKey{}))
		}
		got := s.send(t, r)
		require.Equal(t, wantHTTP.code, got.code, kind)
		require.Equal(t, wantHTTP.header, got.header, kind)
		requireSameStatus(t, decodeStatus(t, wantHTTP), decodeStatus(t, got), kind)
		requireSameStatus(t, wantGRPC.status.Proto(), s.call(t.Context(), signals[0].method, "", r.body).status.Proto(), kind)
		require.Empty(t, s.received(), kind)
		require.Empty(t, guests, kind)

		require.Equal(t, http.StatusOK, s.send(t, admitted).code, kind)
		require.Equal(t, codes.OK, s.call(withWord, signals[0].method, "", r.body).status.Code(), kind)
		require.Len(t, s.received(), 2, kind)
		require.NotEmpty(t, guests, kind)
		for _, g := range guests {
			require.Equal(t, "Ali Baba", g, "the pipeline learns who sent it")
		}
	}
}

// certificate makes one for this machine, in PEM, and what a client has to trust.
func certificate(t *testing.T) (cert, key string, trusted *x509.CertPool) {
	t.Helper()
	return certificateUntil(t, time.Now().Add(time.Hour))
}

func certificateUntil(t *testing.T, end time.Time) (cert, key string, trusted *x509.CertPool) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	require.NoError(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: end, IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &private.PublicKey, private)
	require.NoError(t, err)
	keyDER, err := x509.MarshalPKCS8PrivateKey(private)
	require.NoError(t, err)
	text := func(kind string, b []byte) string {
		var buf bytes.Buffer
		require.NoError(t, pem.Encode(&buf, &pem.Block{Type: kind, Bytes: b}))
		return buf.String()
	}
	cert = text("CERTIFICATE", der)
	trusted = x509.NewCertPool()
	require.True(t, trusted.AppendCertsFromPEM([]byte(cert)))
	return cert, text("PRIVATE KEY", keyDER), trusted
}

func TestRequestsComeOverTLS(t *testing.T) {
	t.Parallel()
	cert, key, trusted := certificate(t)
	settings := local()
	for _, p := range settings["protocols"].(map[string]any) {
		p.(map[string]any)["tls"] = map[string]any{"cert_pem": cert, "key_pem": key}
	}
	standard, ways := three(t, settings, clientSettings{tls: &tls.Config{RootCAs: trusted, MinVersion: tls.VersionTLS12}})
	m, _ := signals[0].request(t)
	r := httpRequest{method: http.MethodPost, path: "/v1/traces", content: contentProtobuf, body: protobuf(t, m)}
	ways["standard"] = standard
	for kind, s := range ways {
		require.Equal(t, http.StatusOK, s.send(t, r).code, kind)
		require.Equal(t, codes.OK, s.call(t.Context(), signals[0].method, "", r.body).status.Code(), kind)
		require.Len(t, s.received(), 2, kind)

		plain := *s
		plain.https = false
		if a, err := plain.try(t.Context(), r); err == nil {
			require.Equal(t, http.StatusBadRequest, a.code, kind)
		}
		require.Empty(t, s.received(), "%s: HTTP where HTTPS is spoken", kind)
	}
}

// TestTheEndOfCertificatesIsTold checks it with a file that is renewed: a server that reads it again shows the new one.
func TestTheEndOfCertificatesIsTold(t *testing.T) {
	t.Parallel()
	for _, way := range []string{"on", "off"} {
		t.Run(way, func(t *testing.T) {
			t.Parallel()
			first := time.Now().Add(48 * time.Hour).Truncate(time.Second)
			cert, key, _ := certificateUntil(t, first)
			file := filepath.Join(t.TempDir(), "server.pem")
			require.NoError(t, os.WriteFile(file, []byte(cert), 0o600))
			settings := local()
			settings["direct"] = way
			protocols := settings["protocols"].(map[string]any)
			protocols["grpc"].(map[string]any)["tls"] = map[string]any{"cert_file": file, "key_pem": key}
			protocols["http"].(map[string]any)["tls"] = map[string]any{"cert_file": file, "key_pem": key, "reload_interval": "1h"}
			c, tel, _ := create(t, otlp.NewFactory(), settings, &next{aware: true})
			require.NoError(t, c.Start(t.Context(), componenttest.NewNopHost()))
			ends := func() map[string]time.Time {
				m, err := tel.GetMetric("otelcol_agenttrail_receiver_certificate_expiry")
				require.NoError(t, err)
				found := map[string]time.Time{}
				for _, p := range m.Data.(metricdata.Gauge[float64]).DataPoints {
					transport, _ := p.Attributes.Value("transport")
					found[transport.AsString()] = time.Unix(int64(p.Value), 0)
				}
				return found
			}
			require.Equal(t, map[string]time.Time{"grpc": first, "http": first}, ends())
			second := first.Add(1000 * time.Hour)
			renewed, _, _ := certificateUntil(t, second)
			require.NoError(t, os.WriteFile(file, []byte(renewed), 0o600))
			require.Equal(t, map[string]time.Time{"grpc": first, "http": second}, ends(), "only the server over HTTP reads its file again")
			require.NoError(t, c.Shutdown(context.Background()))
		})
	}
}
