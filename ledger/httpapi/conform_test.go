package httpapi_test

import (
	"encoding/json"
	"fmt"

	"github.com/danielgtaylor/huma/v2"
)

// conforms tells how an answer differs from the schema that the description has for it.
func (w *world) conforms(op *described, r reply) error {
	item := w.api.OpenAPI().Paths[op.path]
	operation := map[string]*huma.Operation{"GET": item.Get, "POST": item.Post, "PUT": item.Put, "PATCH": item.Patch, "DELETE": item.Delete}[op.method]
	response := operation.Responses[fmt.Sprint(r.status)]
	if response == nil {
		return fmt.Errorf("the description has no answer %d", r.status)
	}
	media := response.Content[r.header.Get("Content-Type")]
	if media == nil {
		return fmt.Errorf("the description has no %s with %d", r.header.Get("Content-Type"), r.status)
	}
	var body any
	if err := json.Unmarshal([]byte(r.text), &body); err != nil {
		return err
	}
	result := &huma.ValidateResult{}
	huma.Validate(w.api.OpenAPI().Components.Schemas, media.Schema, huma.NewPathBuffer(nil, 0), huma.ModeReadFromServer, body, result)
	if len(result.Errors) > 0 {
		return result.Errors[0]
	}
	return nil
}
