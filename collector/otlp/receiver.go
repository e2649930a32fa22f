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

	start   sync.Once
	stop    sync.Once
	grpc    *grpc.Server
	http    *http.Server
	serving sync.WaitGroup
	unaware sync.Once // Says once that the pipeline does not know of requests that go past pdata.
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
func (r *otlpReceiver) Start(ctx context.Context, host component.Host) (err error) {
	r.start.Do(func() {
		if err = errors.Join(r.startGRPC(ctx, host), r.startHTTP(ctx, host)); err != nil {
			err = errors.Join(err, r.Shutdown(ctx))
		}
	})
	return err
}

// Shutdown implements [component.Component]. It waits for the requests under way, as long as ctx allows.
func (r *otlpReceiver) Shutdown(ctx context.Context) (err error) {
	r.stop.Do(func() {
		defer r.forget()
		if r.http != nil {
			if err = r.http.Shutdown(ctx); err != nil {
				err = errors.Join(err, r.http.Close())
			}
		}
		if r.grpc != nil {
			stopped := make(chan struct{})
			go func() {
				r.grpc.GracefulStop()
				close(stopped)
			}()
			select {
			case <-stopped:
			case <-ctx.Done():
				r.grpc.Stop() // Ends GracefulStop too.
				<-stopped
			}
		}
		r.serving.Wait()
	})
	return err
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
	listener, err := cfg.NetAddr.Listen(ctx)
	if err != nil {
		return err
	}
	r.grpc = server
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

// export sends a protobuf request to the exporter. body is not used after it returns.
func (r *otlpReceiver) export(ctx context.Context, s signal, report *receiverhelper.ObsReport, body []byte) error {
	request := &direct.Request{Signal: s.signal(), Body: body}
	ctx = s.begin(ctx, report)
	records, err := 0, s.carry(direct.NewContext(ctx, request))
	records = request.Records()
	if err == nil && !request.Taken() {
		r.unaware.Do(func() {
			r.set.Logger.Warn("No agenttrail exporter looks after requests that go past pdata: they are decoded for the pipeline; set direct to off",
				zap.Uint8("signal", uint8(s.signal())))
		})
		var send func(context.Context) error
		if records, send, err = s.decode(body, true); err == nil {
			err = send(ctx)
		} else {
			err = malformed(err)
		}
	}
	s.end(ctx, report, "protobuf", records, err)
	return err
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
