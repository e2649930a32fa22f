package marketplace

import (
	"context"
	"errors"
	"fmt"
	"time"

	"go.opentelemetry.io/otel/trace"

	agenttrail "github.com/agenttrail/agenttrail/sdk"
)

// Ended spans and log records wait this long for company. What a day of history makes within seconds must fit into the
// buffer between two flushes.
const (
	exportInterval = 200 * time.Millisecond
	bufferCount    = 1 << 17
	bufferBytes    = 256 << 20
)

// service is one instrumented program with its own resource.
type service struct {
	*agenttrail.Trail
	tracer trace.Tracer // For requests of the past, which no middleware sees.
}

func newService(ctx context.Context, name, endpoint string) (*service, error) {
	trail, err := agenttrail.Init(ctx, agenttrail.WithService(name, "3.2.0"), agenttrail.WithEnvironment("demo"),
		agenttrail.WithEndpoint("http://"+endpoint), agenttrail.WithProtocol("grpc"),
		agenttrail.WithInterval(exportInterval), agenttrail.WithBuffer(bufferCount, bufferBytes))
	if err != nil {
		return nil, err
	}
	return &service{trail, trail.TracerProvider().Tracer("marketplace.example/"+name, trace.WithInstrumentationVersion("3.2.0"))}, nil
}

// flush sends what ended before, and says what could not be delivered so far.
func (s *service) flush(ctx context.Context) error {
	return errors.Join(s.Flush(ctx), s.lost())
}

func (s *service) lost() error {
	if l := s.Lost(); l.Spans+l.Logs > 0 {
		return fmt.Errorf("%d spans and log records were not accepted", l.Spans+l.Logs)
	}
	return nil
}
