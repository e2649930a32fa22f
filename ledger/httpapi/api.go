package httpapi

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync"
	"time"

	"github.com/danielgtaylor/huma/v2"
	"github.com/danielgtaylor/huma/v2/adapters/humago"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
	"go.opentelemetry.io/otel/trace"
	"go.opentelemetry.io/otel/trace/noop"

	"github.com/agenttrail/agenttrail/coverage"
	"github.com/agenttrail/agenttrail/ledger"
	agenttrail "github.com/agenttrail/agenttrail/sdk"
)

// Limits of requests.
const (
	DefaultMaxBodyBytes      = 256 << 10
	DefaultMaxInFlight       = 512
	DefaultMaxInFlightPerKey = 256
	DefaultRequestTimeout    = 15 * time.Second
)

// Settings says what an [API] works with.
type Settings struct {
	Service ledger.Service
	// Payments sells credits; nil sells none.
	Payments ledger.Payments
	// Coverage is where scorecards are kept; nil has none.
	Coverage coverage.Stored
	Logger   *slog.Logger
	// Registry is where /metrics reads from, and where the API registers its own; nil makes one.
	Registry *prometheus.Registry
	// Tracer gets a server span per request; nil makes none.
	Tracer trace.TracerProvider
	// Trail gets a security event per request that was refused for who sent it, and of what was done to API keys; nil has
	// none.
	Trail *agenttrail.Trail
	// Version is the version of the program.
	Version string

	// MaxBodyBytes bounds the body of a request. A larger one is refused. 0 means DefaultMaxBodyBytes.
	MaxBodyBytes int64
	// MaxInFlight is how many requests are answered at once; more are told to come back (503). 0 means
	// DefaultMaxInFlight.
	MaxInFlight int
	// MaxInFlightPerKey is how many of one API key are (429). 0 means DefaultMaxInFlightPerKey.
	MaxInFlightPerKey int
	// RequestTimeout bounds the work on one request. 0 means DefaultRequestTimeout.
	RequestTimeout time.Duration
}

// API is the handler of everything that the ledger serves over HTTP.
type API struct {
	service  ledger.Service
	payments ledger.Payments
	coverage coverage.Stored
	logger   *slog.Logger
	registry *prometheus.Registry
	tracer   trace.Tracer
	metrics  *metrics
	settings Settings
	mux      *http.ServeMux
	huma     huma.API
	flight   *flight
	pending  *pendingKeys
	quiet    quiet
	draining chan struct{}
	drain    sync.Once
}

// New makes an API. Nothing is opened.
func New(s Settings) (*API, error) {
	if s.Service == nil || s.Logger == nil {
		return nil, errors.New("make ledger API: a service and a logger are needed")
	}
	s.MaxBodyBytes = orDefault(s.MaxBodyBytes, DefaultMaxBodyBytes)
	s.MaxInFlight = orDefault(s.MaxInFlight, DefaultMaxInFlight)
	s.MaxInFlightPerKey = orDefault(s.MaxInFlightPerKey, DefaultMaxInFlightPerKey)
	s.RequestTimeout = orDefault(s.RequestTimeout, DefaultRequestTimeout)
	if s.Payments == nil {
		s.Payments = noPayments{}
	}
	if s.Registry == nil {
		s.Registry = prometheus.NewRegistry()
	}
	if s.Tracer == nil {
		s.Tracer = noop.NewTracerProvider()
	}
	m, err := newMetrics(s.Registry)
	if err == nil {
		err = s.Registry.Register(newTotals(s.Service))
	}
	if err != nil {
		return nil, fmt.Errorf("register metrics of ledger API: %w", err)
	}
	a := &API{
		service: s.Service, payments: s.Payments, coverage: s.Coverage, logger: s.Logger, registry: s.Registry, tracer: newTracer(s.Tracer, s.Version), metrics: m, settings: s,
		mux: http.NewServeMux(), flight: newFlight(s.MaxInFlight, s.MaxInFlightPerKey), pending: newPendingKeys(),
		draining: make(chan struct{}),
	}
	a.huma = newHuma(a.mux)
	a.huma.UseMiddleware(a.authenticate, a.identify)
	a.register()
	describe(a.huma.OpenAPI())
	servePage(a.mux)
	a.mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { answerHealth(w, http.StatusOK, "ok") })
	a.mux.HandleFunc("GET /readyz", a.ready)
	a.mux.HandleFunc("POST "+webhookPath, a.receiveEvent)
	a.mux.Handle("GET /metrics", promhttp.HandlerFor(s.Registry, promhttp.HandlerOpts{ErrorHandling: promhttp.ContinueOnError}))
	return a, nil
}

func orDefault[T int | int64 | time.Duration](value, otherwise T) T {
	if value <= 0 {
		return otherwise
	}
	return value
}

// humaSettings are huma's, for the whole program; nothing else of the program uses huma.
var humaSettings sync.Once

func newHuma(mux *http.ServeMux) huma.API {
	humaSettings.Do(func() {
		huma.NewError = humaError
		huma.NewErrorWithContext = func(ctx huma.Context, status int, message string, errs ...error) huma.StatusError {
			err := humaError(status, message, errs...)
			if d, ok := err.(*Details); ok {
				d.Instance = instanceOf(ctx.Context())
				requestOf(ctx.Context()).failed = d
			}
			return err
		}
		// A name in another case would pass the validation unseen and still be decoded.
		huma.ValidateStrictCasing = true
		huma.DefaultArrayNullable = false
	})
	registry := huma.NewMapRegistry("#/components/schemas/", huma.DefaultSchemaNamer)
	aliasTypes(registry)
	return humago.New(mux, huma.Config{
		OpenAPI: &huma.OpenAPI{
			OpenAPI: "3.1.0",
			Info: &huma.Info{
				Title: "AgentTrail ledger", Version: "v1", Description: about,
				License: &huma.License{Name: "Apache-2.0", Identifier: "Apache-2.0"},
			},
			Servers: []*huma.Server{{URL: "/"}},
			Components: &huma.Components{
				Schemas: registry,
				SecuritySchemes: map[string]*huma.SecurityScheme{
					"key": {Type: "http", Scheme: "bearer", Description: "An API key, as \"agenttrail keys create\" gives"},
				},
			},
			Security: []map[string][]string{{"key": {}}},
		},
		OpenAPIPath:                  "/openapi",
		Formats:                      map[string]huma.Format{"application/json": jsonFormat, "json": jsonFormat},
		DefaultFormat:                "application/json",
		RejectUnknownQueryParameters: true,
	})
}

// OpenAPI is the description of the API, as /openapi.json serves it.
func (a *API) OpenAPI() *huma.OpenAPI { return a.huma.OpenAPI() }

// Drain makes /readyz say that the service is about to stop, so that no new requests are sent to it. It may be called
// twice.
func (a *API) Drain() { a.drain.Do(func() { close(a.draining) }) }

// readyTimeout is how long the database may take to answer while the service calls itself ready.
const readyTimeout = 2 * time.Second

func (a *API) ready(w http.ResponseWriter, r *http.Request) {
	select {
	case <-a.draining:
		answerHealth(w, http.StatusServiceUnavailable, "stopping")
		return
	default:
	}
	ctx, cancel := context.WithTimeout(r.Context(), readyTimeout)
	defer cancel()
	if err := a.service.Ping(ctx); err != nil {
		answerHealth(w, http.StatusServiceUnavailable, "the database does not answer")
		return
	}
	answerHealth(w, http.StatusOK, "ready")
}

func answerHealth(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(text + "\n")) // The client went away.
}
