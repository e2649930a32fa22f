package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net/http"
	"time"

	agenttrail "github.com/agenttrail/agenttrail/sdk"
	"github.com/agenttrail/agenttrail/sdk/ledgerclient"
)

// kinds are the agents on offer.
var kinds = map[string]func(*task, context.Context) error{
	"summarizer": (*task).summarize,
	"researcher": (*task).research,
	"translator": (*task).translate,
	"coder":      (*task).code,
	"dreamer":    (*task).dream,
}

// policies say what runs of a kind cost that do not succeed; the others cost nothing.
var policies = map[string]ledgerclient.Policy{"coder": ledgerclient.ChargeOnFailure}

// task is one run of an agent.
type task struct {
	w   *worker
	rng *rand.Rand
	run *agenttrail.Execution
}

// outputError is an answer that nobody can use.
type outputError struct{ field string }

func (e *outputError) Error() string {
	return "answer does not match the schema: " + e.field + " is missing"
}
func (*outputError) ErrorCode() string { return "invalid_output" }

// ask calls a model, and adds what it used to the price of the run.
func (k *task) ask(ctx context.Context, model string) (err error) {
	ctx, call := agenttrail.StartModelCall(ctx, agenttrail.ModelCall{Provider: "openai", Model: model})
	defer call.End(&err)
	if err := k.pause(ctx, 20, 60); err != nil {
		return err
	}
	call.FirstOutput()
	if err := k.pause(ctx, 10, 40); err != nil {
		return err
	}
	usage := agenttrail.Usage{InputTokens: 200 + k.rng.Int64N(800), OutputTokens: 20 + k.rng.Int64N(200)}
	call.SetUsage(usage)
	call.SetResponse(model, "stop")
	k.run.AddCredits(agenttrail.Credits(usage.InputTokens*317 + usage.OutputTokens*1250)) // Micro-credits for each token.
	return nil
}

// look asks the handbook, a service of our own.
func (k *task) look(ctx context.Context) (err error) {
	ctx, tool := agenttrail.StartTool(ctx, agenttrail.ToolCall{Name: "search_handbook"})
	defer tool.End(&err)
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.w.s.API+"/v1/handbook", http.NoBody)
	if err != nil {
		return err
	}
	resp, err := k.w.http.Do(req)
	if err != nil {
		return err
	}
	_, _ = io.Copy(io.Discard, resp.Body)
	return resp.Body.Close()
}

// pause is work that takes so many milliseconds.
func (k *task) pause(ctx context.Context, least, more int64) error {
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Duration(least+k.rng.Int64N(more)) * time.Millisecond):
		return nil
	}
}

func (k *task) summarize(ctx context.Context) error {
	return k.ask(ctx, "gpt-5-nano")
}

func (k *task) research(ctx context.Context) error {
	if err := k.ask(ctx, "gpt-5-mini"); err != nil {
		return err
	}
	if err := k.look(ctx); err != nil {
		agenttrail.Log(ctx, slog.LevelWarn, agenttrail.CategoryExecution, "going on without the handbook")
	}
	return k.ask(ctx, "gpt-5-mini")
}

func (k *task) translate(ctx context.Context) error {
	if err := k.ask(ctx, "gpt-5-mini"); err != nil {
		return err
	}
	k.run.FirstOutput()
	return k.pause(ctx, 5, 20)
}

// code fails in several ways.
func (k *task) code(ctx context.Context) error {
	if err := k.ask(ctx, "gpt-5-mini"); err != nil {
		return err
	}
	switch k.rng.IntN(8) {
	case 0:
		return fmt.Errorf("review: %w", &outputError{"patch"})
	case 1:
		return errors.New("the repository is away")
	case 2:
		panic("the agent stumbled")
	default:
		return nil
	}
}

// dream sometimes takes longer than anybody waits.
func (k *task) dream(ctx context.Context) error {
	if k.rng.IntN(6) == 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 30*time.Millisecond)
		defer cancel()
	}
	return k.ask(ctx, "gpt-5-mini")
}
