package board

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"
)

// All returns every dashboard, in the order in which people need them.
func All() []Dashboard {
	return []Dashboard{Overview(), Agent(), Execution(), Errors(), Requests(), Users(), Money(), Audit(), Security(), System(), Pipeline(), Coverage()}
}

// File returns the name of a dashboard's file, and what is in it.
func (d Dashboard) File() (name string, text []byte, err error) {
	var buf bytes.Buffer
	enc := json.NewEncoder(&buf)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(d); err != nil {
		return "", nil, fmt.Errorf("encode dashboard %s: %w", d.UID, err)
	}
	return strings.TrimPrefix(d.UID, Tag+"-") + ".json", buf.Bytes(), nil
}
