package httpapi

import (
	"context"
	"net/http"
	"reflect"
	"strconv"
	"strings"

	"github.com/danielgtaylor/huma/v2"

	"github.com/agenttrail/agenttrail/ledger"
)

// operation is one thing that clients can do.
type operation struct {
	id, method, path string
	tag, summary     string
	description      string
	// scopes are those of which a key needs one; none means that any key will do.
	scopes []ledger.Scope
	// status of success, 200 if 0.
	status int
	// accepted says that 202, with the same body, is another success.
	accepted bool
	// refusals are the codes that are particular to the operation.
	refusals []ledger.Code
}

// answer is a resource as it is answered.
type answer[T any] struct {
	Status   int
	ETag     string `header:"ETag" doc:"Version of the resource, for If-Match"`
	Location string `header:"Location" doc:"Where the new resource is"`
	Replayed string `header:"Idempotency-Replayed" doc:"true when an earlier request with the same Idempotency-Key got this answer"`
	Body     T
}

// listAnswer is a page as it is answered.
type listAnswer[T any] struct {
	Body pageOf[T]
}

// IdempotentParams documents the header that middleware reads.
type IdempotentParams struct {
	IdempotencyKey string `header:"Idempotency-Key" required:"true" minLength:"1" maxLength:"255" doc:"A random key of your own for this request; sent again with the same key, the request has no second effect and gets the same answer"`
}

// problemsExtension is where the description of an operation lists its problems.
const problemsExtension = "x-problems"

// add registers an operation with everything that its description says. Structs that several inputs embed have exported
// names, since huma passes over the fields of others.
func add[I, O any](a *API, op operation, handle func(ctx context.Context, in *I) (*O, error)) {
	_, hasBody := reflect.TypeFor[I]().FieldByName("Body")
	codes := a.problemsOf(op, hasBody)
	responses := map[string]*huma.Response{}
	byStatus := map[int][]string{}
	for _, code := range codes {
		p, ok := problemByCode(code)
		if !ok {
			panic("BUG: no problem for the code " + string(code))
		}
		byStatus[p.Status] = append(byStatus[p.Status], string(code))
	}
	details := a.huma.OpenAPI().Components.Schemas.Schema(detailsType, true, "Problem")
	for status, list := range byStatus {
		responses[strconv.Itoa(status)] = &huma.Response{
			Description: strings.Join(list, ", "),
			Content:     map[string]*huma.MediaType{problemMediaType: {Schema: details}},
		}
	}
	extensions := map[string]any{problemsExtension: codes}
	if len(op.scopes) > 0 {
		extensions[scopesExtension] = op.scopes
	}
	huma.Register(a.huma, huma.Operation{
		OperationID: op.id, Method: op.method, Path: op.path, Summary: op.summary, Description: op.description,
		Tags: []string{op.tag}, DefaultStatus: orDefault(op.status, http.StatusOK), Responses: responses, Extensions: extensions,
		MaxBodyBytes: a.settings.MaxBodyBytes + 1, // What is larger was refused before.
		// No limit: the body was read before. When one passes while the request is worked on, net/http gives the request up.
		BodyReadTimeout: -1,
	}, func(ctx context.Context, in *I) (*O, error) {
		out, err := handle(ctx, in)
		if err == nil {
			return out, nil
		}
		d := a.refuse(ctx, err)
		d.Instance = instanceOf(ctx)
		req := requestOf(ctx)
		req.failed = d
		if req.call != nil && req.call.Replayed {
			d.headers.Set(replayedHeader, "true")
		}
		return nil, d
	})
	if op.accepted {
		success := *responses[strconv.Itoa(op.status)]
		success.Description = http.StatusText(http.StatusAccepted)
		responses[strconv.Itoa(http.StatusAccepted)] = &success
	}
}

// problemsOf are the codes of all problems that an operation can answer with.
func (a *API) problemsOf(op operation, hasBody bool) []ledger.Code {
	codes := []ledger.Code{
		ProblemMalformed.Code, ledger.CodeUnauthenticated, ledger.CodeKeyRevoked, ledger.CodeKeyExpired,
		ledger.CodeInvalid, ProblemTooMany.Code, ledger.CodeInternal, ledger.CodeUnavailable,
	}
	if len(op.scopes) > 0 {
		codes = append(codes, ledger.CodeForbidden)
	}
	if strings.Contains(op.path, "Id}") || strings.Contains(op.path, "{agent}") {
		codes = append(codes, ledger.CodeNotFound)
	}
	if op.method != http.MethodGet {
		codes = append(codes, ProblemTooLarge.Code, ProblemRequestTimeout.Code)
	}
	if hasBody {
		codes = append(codes, ProblemMediaType.Code)
	}
	if op.method == http.MethodPost {
		codes = append(codes, ProblemKeyMissing.Code, ledger.CodeKeyReused, ledger.CodeInProgress)
	}
	codes = append(codes, op.refusals...)
	// In the order of the documentation.
	ordered := make([]ledger.Code, 0, len(codes))
	for _, p := range problems {
		for _, c := range codes {
			if p.Code == c {
				ordered = append(ordered, c)
				break
			}
		}
	}
	return ordered
}

// reply makes the answer of an operation that writes.
func reply[T any](ctx context.Context, status int, location string, version int, body T) *answer[T] {
	out := &answer[T]{Status: status, Location: location, Body: body}
	if version > 0 {
		out.ETag = etag(version)
	}
	if call := callOf(ctx); call != nil && call.Replayed {
		out.Replayed = "true"
	}
	return out
}

// show makes the answer of an operation that reads one resource.
func show[T any](version int, body T) *answer[T] {
	out := &answer[T]{Status: http.StatusOK, Body: body}
	if version >= 0 {
		out.ETag = etag(version)
	}
	return out
}

// list makes the answer of an operation that reads a page.
func list[T any](l ledger.List[T], err error) (*listAnswer[T], error) {
	if err != nil {
		return nil, err
	}
	if l.Items == nil {
		l.Items = []T{}
	}
	return &listAnswer[T]{Body: pageOf[T]{Items: l.Items, NextCursor: l.Next}}, nil
}
