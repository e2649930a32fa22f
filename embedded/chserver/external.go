package chserver

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"strconv"
	"strings"

	"github.com/agenttrail/agenttrail/embedded/chdb"
)

// externalTable is a table that came with a request as a part of a form (src/Core/ExternalTable.cpp); it becomes a temporary
// table of the connection.
type externalTable struct {
	name      string
	structure string
	format    string
	data      []byte
}

// maxExternalData bounds what the external tables of a request may hold in memory.
const maxExternalData = 1 << 30

// readMultipart reads a form: the field query, parameters, and external tables as files.
func (q *request) readMultipart(r *http.Request, body io.Reader) error {
	mr, err := (&http.Request{Method: http.MethodPost, Header: r.Header, Body: io.NopCloser(body)}).MultipartReader()
	if err != nil {
		return newError(codeBadArguments, "Cannot read the form of the request: %s", err)
	}
	query := q.params.get("query")
	left := int64(maxExternalData)
	for {
		part, err := mr.NextPart()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return bodyError(err)
		}
		data, err := io.ReadAll(io.LimitReader(part, left+1))
		if err != nil {
			return bodyError(err)
		}
		if left -= int64(len(data)); left < 0 {
			return newError(codeBadArguments, "External tables of a request are limited to %d bytes", maxExternalData)
		}
		if err := q.addPart(part, data, &query); err != nil {
			return err
		}
	}
	if err := q.readText(query, bytes.NewReader(nil)); err != nil {
		return err
	}
	q.rest = bytes.NewReader(nil)
	return nil
}

func (q *request) addPart(part *multipart.Part, data []byte, query *string) error {
	name := part.FormName()
	if !strings.Contains(part.Header.Get("Content-Disposition"), "filename") {
		switch {
		case name == "query":
			*query += string(data)
		case strings.HasPrefix(name, "param_"):
			q.values = append(q.values, chdb.Param{Name: strings.TrimPrefix(name, "param_"), Value: string(data)})
		default:
			q.params = append(q.params, urlParam{name, string(data)})
		}
		return nil
	}
	t := externalTable{name: name, format: first(q.params.get(name+"_format"), "TabSeparated"), data: data}
	if t.structure = q.params.get(name + "_structure"); t.structure == "" {
		types := splitTypeArgs(q.params.get(name + "_types"))
		if len(types) == 0 {
			return newError(codeBadArguments, "Neither structure nor types have not been provided for external table %s. "+
				"Use fields %s_structure or %s_types to do so", name, name, name)
		}
		for i, typ := range types {
			if i > 0 {
				t.structure += ", "
			}
			t.structure += "_" + strconv.Itoa(i+1) + " " + typ
		}
	}
	q.external = append(q.external, t)
	return nil
}

// create makes the temporary table and fills it.
func (t externalTable) create(conn *chdb.Conn) error {
	if err := conn.Exec("CREATE TEMPORARY TABLE " + quoteName(t.name) + " (" + t.structure + ") ENGINE = Memory"); err != nil {
		return err
	}
	insert, err := conn.Insert("INSERT INTO "+quoteName(t.name), t.format)
	if err != nil {
		return err
	}
	defer insert.Close()
	_, _ = insert.Write(t.data) // when it fails, Done tells why
	_, err = insert.Done()
	return err
}
