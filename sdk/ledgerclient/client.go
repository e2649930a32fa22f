package ledgerclient

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/google/uuid"
)

// Config says which ledger is called, and how.
type Config struct {
	// URL is the address of the ledger, such as http://ledger:8080.
	URL string
	// Key is the secret of an API key.
	Key string
	// HTTPClient makes the requests; one whose requests take at most 10 s when it is nil. Give it
	// [github.com/agenttrail/agenttrail/sdk.Trail.Transport] to see them in telemetry.
	HTTPClient *http.Client
	// Patience is for how long a call is sent again while it is not answered; 30 s when it is 0. The deadline of its context
	// wins when it is earlier.
	Patience time.Duration
	// OutboxDir is a folder of this process for what is still to be settled; see the package's description. Without it
	// nothing is kept.
	OutboxDir string
}

// Client calls a ledger. Its methods may be called from many goroutines.
type Client struct {
	cfg    Config
	base   *url.URL
	outbox *outbox // nil without a folder.
}

// New makes a client, and begins to settle what is in the outbox. It does not call the ledger.
func New(cfg Config) (*Client, error) {
	base, err := url.Parse(strings.TrimSuffix(cfg.URL, "/"))
	if err != nil || base.Host == "" {
		return nil, fmt.Errorf("make ledger client: URL %q: write it as http://host:port", cfg.URL)
	}
	if cfg.Key == "" {
		return nil, errors.New("make ledger client: there is no Key: \"agenttrail keys create\" makes one")
	}
	if cfg.HTTPClient == nil {
		cfg.HTTPClient = &http.Client{Timeout: 10 * time.Second}
	}
	if cfg.Patience == 0 {
		cfg.Patience = 30 * time.Second
	}
	c := &Client{cfg: cfg, base: base}
	if cfg.OutboxDir != "" {
		if c.outbox, err = openOutbox(cfg.OutboxDir, c.settleKept); err != nil {
			return nil, fmt.Errorf("make ledger client: %w", err)
		}
	}
	return c, nil
}

// Close stops to settle what is in the outbox, which stays there for the next process. It returns when the attempt at
// hand has ended, or ctx.
func (c *Client) Close(ctx context.Context) error {
	if c.outbox == nil {
		return nil
	}
	if err := c.outbox.close(ctx); err != nil {
		return fmt.Errorf("close ledger client: %w", err)
	}
	return nil
}

type keyKey struct{}

// WithIdempotencyKey returns a context whose next call has this idempotency key: one that is made of what the call is for
// has one effect even if the process dies and another one calls again. Without it a call has a random one.
func WithIdempotencyKey(ctx context.Context, key string) context.Context {
	return context.WithValue(ctx, keyKey{}, key)
}

// call is one operation.
type call struct {
	method, path string
	query        url.Values
	body         any    // nil for none.
	ifMatch      string // "" for none.
}

// answered is what came back beside the body.
type answered struct {
	status   int
	replayed bool // The effect is from an earlier request with the same key.
}

// First and longest pause between two attempts.
const (
	firstPause = 50 * time.Millisecond
	maxPause   = 3 * time.Second
)

// do sends a call until it is answered for good, and reads the answer into out.
func (c *Client) do(ctx context.Context, k call, out any) (answered, error) {
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Patience)
	defer cancel()
	var body []byte
	if k.body != nil {
		var err error
		if body, err = json.Marshal(k.body); err != nil {
			return answered{}, fmt.Errorf("write request: %w", err)
		}
	}
	key, _ := ctx.Value(keyKey{}).(string)
	if key == "" {
		key = uuid.NewString()
	}
	for pause := firstPause; ; pause = min(2*pause, maxPause) {
		a, wait, err := c.try(ctx, k, body, key, out)
		if err == nil || wait < 0 {
			return a, err
		}
		timer := time.NewTimer(max(wait, pause/2+rand.N(pause/2))) //nolint:gosec // Spreads clients; nobody must not guess it.
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return a, &UnknownError{Err: err}
		}
	}
}

// UnknownError says that a call was not answered in time: it may have had its effect. Sent again with the same
// idempotency key it has one.
type UnknownError struct {
	Err error // Of the last attempt.
}

// Error implements error.
func (e *UnknownError) Error() string { return "the ledger did not answer: " + e.Err.Error() }

// Unwrap returns the error of the last attempt.
func (e *UnknownError) Unwrap() error { return e.Err }

// ErrorCode makes it a code of runs and requests that end with it.
func (*UnknownError) ErrorCode() string { return "ledger_unavailable" }

// settledForGood says that a call must not be tried again.
const settledForGood = time.Duration(-1)

// try sends a call once. wait is for how long the ledger asks to wait, or settledForGood.
func (c *Client) try(ctx context.Context, k call, body []byte, key string, out any) (a answered, wait time.Duration, err error) {
	u := *c.base
	u.RawPath = u.EscapedPath() + k.path // Ids of runs may be anything.
	if u.Path, err = url.PathUnescape(u.RawPath); err != nil {
		return a, settledForGood, fmt.Errorf("make request: %w", err)
	}
	u.RawQuery = k.query.Encode()
	req, err := http.NewRequestWithContext(ctx, k.method, u.String(), bytes.NewReader(body))
	if err != nil {
		return a, settledForGood, fmt.Errorf("make request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.cfg.Key)
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	if k.method == http.MethodPost {
		req.Header.Set("Idempotency-Key", key)
	}
	if k.ifMatch != "" {
		req.Header.Set("If-Match", k.ifMatch)
	}
	resp, err := c.cfg.HTTPClient.Do(req)
	if err != nil {
		return a, 0, fmt.Errorf("call ledger: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer))
	if err != nil {
		return a, 0, fmt.Errorf("read answer of ledger: %w", err)
	}
	a = answered{resp.StatusCode, resp.Header.Get("Idempotency-Replayed") == "true"}
	if resp.StatusCode < 300 {
		if err := json.Unmarshal(text, out); err != nil {
			return a, 0, fmt.Errorf("read answer of ledger: %w", err)
		}
		setRowVersion(out, resp.Header.Get("ETag"))
		return a, 0, nil
	}
	p := problemOf(resp.StatusCode, text)
	if !mayTryAgain(p) {
		return a, settledForGood, p
	}
	if s, err := strconv.Atoi(resp.Header.Get("Retry-After")); err == nil && s > 0 {
		wait = min(time.Duration(s)*time.Second, maxPause)
	}
	return a, wait, p
}

// setRowVersion gives a resource the version that its ETag names; the body does not have it. See [IfVersion].
func setRowVersion(out any, etag string) {
	version, err := strconv.Atoi(strings.Trim(etag, `"`))
	if err != nil {
		return // A list has none.
	}
	if v := reflect.Indirect(reflect.ValueOf(out)); v.Kind() == reflect.Struct {
		if f := v.FieldByName("RowVersion"); f.IsValid() && f.CanSet() && f.Kind() == reflect.Int {
			f.SetInt(int64(version))
		}
	}
}

// maxAnswer bounds what is read of an answer, bytes.
const maxAnswer = 16 << 20

// mayTryAgain reports whether the same request may be answered otherwise later, by what docs/api.md says of each problem.
func mayTryAgain(p *Problem) bool {
	switch p.Status {
	case http.StatusRequestTimeout, http.StatusTooManyRequests, http.StatusInternalServerError, http.StatusBadGateway,
		http.StatusServiceUnavailable, http.StatusGatewayTimeout:
		return true
	case http.StatusConflict:
		return p.Code == codeInProgress
	default:
		return false
	}
}
