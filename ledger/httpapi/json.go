package httpapi

import (
	"bytes"
	"encoding/json"
	"fmt"
	"reflect"
	"strconv"
	"unicode/utf8"

	"github.com/danielgtaylor/huma/v2"
	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
)

// jsonFormat reads and writes bodies.
var jsonFormat = huma.DefaultJSONFormat

// checkJSONText refuses bodies that the decoder would repair silently, or that the database cannot store: bytes that are
// not UTF-8, and NUL characters, escaped ones too.
func checkJSONText(body []byte) *Details {
	if !utf8.Valid(body) {
		return newProblem(ProblemMalformed, "the body is not UTF-8")
	}
	for i := 0; i+1 < len(body); i++ {
		if body[i] != '\\' {
			continue
		}
		if bytes.HasPrefix(body[i+1:], []byte("u0000")) {
			return newProblem(ProblemMalformed, "the body has a NUL character")
		}
		i++ // What is escaped begins no escape.
	}
	return nil
}

// Bounds of documents that users bring, such as profiles and configurations.
const (
	maxDepth  = 32
	maxNumber = 64 // characters of one number
)

// document is a JSON object of the client's own. It is kept as the client sent it, as far as the database can.
type document json.RawMessage

// Schema implements huma's SchemaProvider.
func (document) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeObject, AdditionalProperties: true, Description: "An object of your own, at most 64 KiB and 32 levels deep"}
}

// UnmarshalJSON takes an object within the bounds. It writes it anew, for the decoder is more forgiving than the database.
func (d *document) UnmarshalJSON(text []byte) error {
	if bytes.Equal(text, []byte("null")) {
		return nil
	}
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	var value map[string]any
	if err := decoder.Decode(&value); err != nil {
		return err
	}
	if err := checkDocument(value, 1); err != nil {
		return err
	}
	clean, err := json.Marshal(value)
	if err != nil {
		return err
	}
	if len(clean) > ledger.MaxDocument {
		return fmt.Errorf("a document has more than %s", byteCount(ledger.MaxDocument))
	}
	*d = clean
	return nil
}

func checkDocument(value any, depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("a document is more than %d levels deep", maxDepth)
	}
	switch v := value.(type) {
	case map[string]any:
		for _, inner := range v {
			if err := checkDocument(inner, depth+1); err != nil {
				return err
			}
		}
	case []any:
		for _, inner := range v {
			if err := checkDocument(inner, depth+1); err != nil {
				return err
			}
		}
	case json.Number:
		if len(v) > maxNumber {
			return fmt.Errorf("a number has more than %d characters", maxNumber)
		}
	}
	return nil
}

// amount is credits in a request. It is read by the operation, so that what is out of range has a type of its own.
type amount string

// amountPattern takes up to 13 digits, as many as the largest amount has, and six after the point.
const amountPattern = `^[0-9]{1,13}(\.[0-9]{1,6})?$`

// Schema implements huma's SchemaProvider.
func (amount) Schema(huma.Registry) *huma.Schema {
	length := 20
	return &huma.Schema{Type: huma.TypeString, Pattern: amountPattern, PatternDescription: "a decimal number of credits, such as 1.5", MaxLength: &length, Examples: []any{"1.5"}}
}

// credits reads an amount that was checked against the schema.
func (s amount) credits() (ledger.Credits, error) { return ledger.ParseCredits(string(s)) }

// optionalCredits reads an amount that may be absent.
func optionalCredits(s *amount) (*ledger.Credits, error) {
	if s == nil {
		return nil, nil //nolint:nilnil // Absent is no amount.
	}
	c, err := s.credits()
	return &c, err
}

// creditsText describes [ledger.Credits] in answers.
type creditsText string

// Schema implements huma's SchemaProvider.
func (creditsText) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Pattern: `^-?[0-9]{1,13}(\.[0-9]{1,6})?$`, Examples: []any{"1.5"}}
}

// uuidText describes ids. The nil id names nothing; where the ledger means nobody, the member is absent.
type uuidText string

// Schema implements huma's SchemaProvider.
func (uuidText) Schema(huma.Registry) *huma.Schema {
	return &huma.Schema{Type: huma.TypeString, Format: "uuid", Not: &huma.Schema{Enum: []any{uuid.Nil.String()}}, Examples: []any{"019bde24-89a1-7c3e-8f10-0242ac120002"}}
}

func byteCount(n int64) string { return strconv.FormatInt(n, 10) + " bytes" }

// aliasTypes gives types of the ledger the schema of their text.
func aliasTypes(registry huma.Registry) {
	registry.RegisterTypeAlias(reflect.TypeFor[ledger.Credits](), reflect.TypeFor[creditsText]())
	registry.RegisterTypeAlias(reflect.TypeFor[ledger.Rules](), reflect.TypeFor[rulesBody]())
	registry.RegisterTypeAlias(reflect.TypeFor[uuid.UUID](), reflect.TypeFor[uuidText]())
}
