package otlp

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"

	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/component/componentstatus"
	"go.opentelemetry.io/collector/config/confighttp"
	"go.opentelemetry.io/collector/receiver"
	"go.opentelemetry.io/collector/receiver/receiverhelper"
	"go.uber.org/zap"
	"google.golang.org/grpc"

	"github.com/agenttrail/agenttrail/exporter/direct"
)

// otlpReceiver serves the signals that have a pipeline. It is started and shut down once for each of them; the first
// start and the first shutdown count.
type otlpReceiver struct {
	cfg    *Config
	set    receiver.Settings
	forget func()

	traces, logs, metrics signal // nil without a pipeline

	overGRPC, overHTTP *receiverhelper.ObsReport

	start     sync.Once
	startErr  error
	stop      sync.Once
	grpc      *grpc.Server
	http      *http.Server
	serving   sync.WaitGroup
	unobserve func() error
	unaware   sync.Once // Says once that the pipeline does not know of requests that go past pdata.
}

func newReceiver(set receiver.Settings, cfg *Config, forget func()) (*otlpReceiver, error) {
	r := &otlpReceiver{cfg: cfg, set: set, forget: forget}
	report := func(transport string) (*receiverhelper.ObsReport, error) {
		return receiverhelper.NewObsReport(receiverhelper.ObsReportSettings{ReceiverID: set.ID, Transport: transport, ReceiverCreateSettings: set})
	}
	var err error
	if r.overGRPC, err = report("grpc"); err != nil {
		return nil, fmt.Errorf("make metrics of the receiver: %w", err)
	}
	if r.overHTTP, err = report("http"); err != nil {
		return nil, fmt.Errorf("make metrics of the receiver: %w", err)
	}
	return r, nil
}

// Start implements [component.Component].
func (r *otlpReceiver) Start(ctx context.Context, host component.Host) error {
	r.start.Do(func() {
		err := r.startGRPC(ctx, host)
		if err == nil {
			err = r.startHTTP(ctx, host)
		}
		if err == nil {
			r.unobserve, err = observeCertificates(r.set, r.cfg)
		}
		if err != nil {
			r.startErr = errors.Join(err, r.Shutdown(ctx))
		}
	})
	return r.startErr
}

// Shutdown implements [component.Component]. It waits for the requests under way. When ctx ends first it cuts their
// connections, and those that go on all the same end by themselves.
func (r *otlpReceiver) Shutdown(ctx context.Context) (err error) {
	r.stop.Do(func() {
		defer r.forget()
		if err = errors.Join(r.stopHTTP(ctx), r.stopGRPC(ctx)); err == nil {
			r.serving.Wait()
		}
		if r.unobserve != nil {
			err = errors.Join(err, r.unobserve())
		}
	})
	return err
}

func (r *otlpReceiver) stopHTTP(ctx context.Context) error {
	if r.http == nil {
		return nil
	}
	if err := r.http.Shutdown(ctx); err != nil {
		return errors.Join(fmt.Errorf("wait for requests over HTTP: %w", err), r.http.Close())
	}
	return nil
}

func (r *otlpReceiver) stopGRPC(ctx context.Context) error {
	if r.grpc == nil {
		return nil
	}
	stopped := make(chan struct{})
	go func() {
		defer close(stopped)
		r.grpc.GracefulStop()
	}()
	select {
	case <-stopped:
		return nil
	case <-ctx.Done():
		go r.grpc.Stop() // It waits behind GracefulStop.
		return fmt.Errorf("wait for requests over gRPC: %w", context.Cause(ctx))
	}
}

// signals returns those that have a pipeline.
func (r *otlpReceiver) signals() []signal {
	var all []signal
	for _, s := range []signal{r.traces, r.logs, r.metrics} {
		if s != nil {
			all = append(all, s)
		}
	}
	return all
}

func (r *otlpReceiver) startGRPC(ctx context.Context, host component.Host) error {
	if !r.cfg.Protocols.GRPC.HasValue() {
		return nil
	}
	cfg := r.cfg.Protocols.GRPC.Get()
	server, err := r.newGRPC(ctx, cfg, host)
	if err != nil {
		return err
	}
	r.grpc = server
	listener, err := cfg.NetAddr.Listen(ctx)
	if err != nil {
		return err
	}
	// The collector learns from this entry where it listens.
	r.set.Logger.Info("Starting GRPC server", zap.String("endpoint", listener.Addr().String()), zap.Bool("direct", true))
	r.serve(host, listener, server.Serve, grpc.ErrServerStopped)
	return nil
}

func (r *otlpReceiver) startHTTP(ctx context.Context, host component.Host) error {
	if !r.cfg.Protocols.HTTP.HasValue() {
		return nil
	}
	cfg := r.cfg.Protocols.HTTP.Get()
	server, err := cfg.ServerConfig.ToServer(ctx, host.GetExtensions(), r.set.TelemetrySettings, r.handler(cfg), confighttp.WithErrorHandler(answerHTTPError))
	if err != nil {
		return err
	}
	listener, err := cfg.ServerConfig.ToListener(ctx)
	if err != nil {
		return err
	}
	r.http = server
	r.set.Logger.Info("Starting HTTP server", zap.String("endpoint", listener.Addr().String()), zap.Bool("direct", true))
	r.serve(host, listener, server.Serve, http.ErrServerClosed)
	return nil
}

// serve serves until the server is stopped.
func (r *otlpReceiver) serve(host component.Host, listener net.Listener, serve func(net.Listener) error, stopped error) {
	r.serving.Go(func() {
		if err := serve(listener); err != nil && !errors.Is(err, stopped) {
			componentstatus.ReportStatus(host, componentstatus.NewFatalErrorEvent(err))
		}
	})
}

// export sends a protobuf request to the exporter. The memory of body may be used again after it, unless it is still
// read.
func (r *otlpReceiver) export(ctx context.Context, s signal, report *receiverhelper.ObsReport, body []byte) (stillRead bool, err error) {
	if len(body) == 0 {
		return false, nil // There is nothing to store.
	}
	request := &direct.Request{Signal: s.signal(), Body: body}
	ctx = s.begin(ctx, report)
	err = s.carry(direct.NewContext(ctx, request))
	outcome := request.End()
	records := outcome.Records
	switch {
	case err == nil && !outcome.Taken:
		r.unaware.Do(func() {
			r.set.Logger.Warn("No agenttrail exporter looks after requests that go past pdata: they are decoded for the pipeline; set direct to off",
				zap.Stringer("pipeline", s.signal()))
		})
		records, err = sendDecoded(ctx, s, body)
	case err != nil && records == 0: // It was refused before it was decoded, which is when the receiver counts what it refuses.
		records = count(s.signal(), body)
	}
	s.end(ctx, report, "protobuf", records, err)
	return outcome.Read, err
}

// sendDecoded sends a protobuf request down a pipeline that does not know of requests past pdata.
func sendDecoded(ctx context.Context, s signal, body []byte) (records int, err error) {
	records, send, err := s.decode(body, true)
	if err != nil {
		return 0, malformed(err)
	}
	return records, send(ctx)
}

// exportJSON sends a JSON request down the pipeline.
func (r *otlpReceiver) exportJSON(ctx context.Context, s signal, report *receiverhelper.ObsReport, body []byte) error {
	records, send, err := s.decode(body, false)
	if err != nil {
		return malformed(err)
	}
	if records == 0 {
		return nil
	}
	ctx = s.begin(ctx, report)
	err = send(ctx)
	s.end(ctx, report, "json", records, err)
	return err
}
