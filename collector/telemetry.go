package collector

import (
	"context"
	"fmt"

	"github.com/google/uuid"
	"go.opentelemetry.io/collector/component"
	"go.opentelemetry.io/collector/pdata/pcommon"
	"go.opentelemetry.io/collector/service/telemetry"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// newTelemetryFactory returns what makes the collector's own log and metrics. The standard factory, otelconftelemetry,
// can also send them by OTLP; for that it links every exporter of the SDK and the resource detectors of all clouds,
// 114 packages, of which 77 are Kubernetes'. This one honors the keys that people set, see telemetryConfig.
func newTelemetryFactory(w *watch) telemetry.Factory {
	return telemetry.NewFactory(createTelemetryConfig,
		telemetry.WithCreateResource(createResource),
		telemetry.WithCreateLogger(createLogger),
		telemetry.WithCreateMeterProvider(func(ctx context.Context, set telemetry.MeterSettings, cfg component.Config) (telemetry.MeterProvider, error) {
			return createMeterProvider(ctx, set, cfg.(*telemetryConfig), w)
		}),
	)
}

func createResource(_ context.Context, set telemetry.Settings, config component.Config) (pcommon.Resource, string, error) {
	overrides, err := config.(*telemetryConfig).resourceOverrides()
	if err != nil {
		return pcommon.Resource{}, "", err
	}
	res := pcommon.NewResource()
	attrs := res.Attributes()
	attrs.PutStr("service.name", set.BuildInfo.Command)
	attrs.PutStr("service.version", set.BuildInfo.Version)
	attrs.PutStr("service.instance.id", uuid.NewString())
	for k, v := range overrides {
		if v == nil {
			attrs.Remove(k)
			continue
		}
		if err := attrs.PutEmpty(k).FromRaw(v); err != nil {
			return pcommon.Resource{}, "", fmt.Errorf("service::telemetry::resource::%s: %w", k, err)
		}
	}
	return res, "", nil
}

func createLogger(_ context.Context, set telemetry.LoggerSettings, config component.Config) (*zap.Logger, component.ShutdownFunc, error) {
	cfg := config.(*telemetryConfig).Logs
	enc := zap.NewProductionEncoderConfig()
	enc.EncodeTime = zapcore.ISO8601TimeEncoder
	build := set.BuildZapLogger
	if build == nil {
		build = zap.Config.Build
	}
	logger, err := build(zap.Config{
		Level:             zap.NewAtomicLevelAt(cfg.Level),
		Development:       cfg.Development,
		Encoding:          cfg.Encoding,
		EncoderConfig:     enc,
		OutputPaths:       cfg.OutputPaths,
		ErrorOutputPaths:  cfg.ErrorOutputPaths,
		DisableCaller:     cfg.DisableCaller,
		DisableStacktrace: cfg.DisableStacktrace,
		InitialFields:     cfg.InitialFields,
	})
	if err != nil {
		return nil, nil, fmt.Errorf("open log: %w", err)
	}
	if set.Resource != nil && !cfg.DisableZapResource {
		var fields []zap.Field
		for k, v := range set.Resource.Attributes().All() {
			fields = append(fields, zap.String(k, v.AsString()))
		}
		logger = logger.With(zap.Dict("resource", fields...))
	}
	if s := cfg.Sampling; s != nil && s.Enabled {
		logger = logger.WithOptions(zap.WrapCore(func(core zapcore.Core) zapcore.Core {
			return zapcore.NewSamplerWithOptions(core, s.Tick, s.Initial, s.Thereafter)
		}))
	}
	return logger, nil, nil
}
