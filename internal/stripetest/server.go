package stripetest

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// failure is an answer with an error.
type failure struct {
	status int
	body   object
}

func (e *failure) Error() string { return fmt.Sprint(e.status, e.body) }

func fail(status int, kind, code, format string, args ...any) *failure {
	return &failure{status, object{"type": kind, "code": code, "message": fmt.Sprintf(format, args...)}}
}

func invalid(code, format string, args ...any) *failure {
	return fail(http.StatusBadRequest, "invalid_request_error", code, format, args...)
}

func notThere(id string) *failure {
	return fail(http.StatusNotFound, "invalid_request_error", "resource_missing", "No such object: '%s'", id)
}

// ServeHTTP implements [http.Handler].
func (f *Fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	f.seen = append(f.seen, r.Method+" "+r.URL.Path)
	fault := f.fault
	f.mu.Unlock()
	var how Fault
	if fault != nil {
		how = fault(r)
	}
	if how.Drop {
		panic(http.ErrAbortHandler)
	}
	status, body, replayed := f.answer(r, how)
	if how.Lose {
		panic(http.ErrAbortHandler)
	}
	w.Header().Set("Content-Type", "application/json")
	w.Header().Set("Request-Id", "req_fake")
	if replayed {
		w.Header().Set("Idempotent-Replayed", "true")
	}
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body) // The client went away.
}

func (f *Fake) answer(r *http.Request, how Fault) (status int, body object, replayed bool) {
	if r.Header.Get("Authorization") != "Bearer "+Key {
		e := fail(http.StatusUnauthorized, "invalid_request_error", "", "Invalid API Key provided: %s", "sk_test_****")
		return e.status, object{"error": e.body}, false
	}
	if v := r.Header.Get("Stripe-Version"); v != APIVersion {
		e := invalid("", "The version %s is not %s", v, APIVersion)
		return e.status, object{"error": e.body}, false
	}
	if err := r.ParseForm(); err != nil {
		return http.StatusBadRequest, object{"error": object{"type": "invalid_request_error", "message": err.Error()}}, false
	}
	key := r.Header.Get("Idempotency-Key")
	f.mu.Lock()
	defer f.mu.Unlock()
	params := r.Method + r.URL.Path + r.Form.Encode()
	if s, ok := f.keys[key]; ok && key != "" {
		if s.params != params {
			e := fail(http.StatusBadRequest, "idempotency_error", "", "Keys for idempotent requests can only be used with the same parameters they were first used with.")
			return e.status, object{"error": e.body}, false
		}
		return s.status, s.body, true
	}
	if how.Status != 0 {
		body = object{"error": object{"type": "api_error", "message": "Something went wrong on our end."}}
		if how.Save && key != "" {
			f.keys[key] = saved{params, how.Status, body}
		}
		return how.Status, body, false
	}
	made, err := f.route(r.Method, strings.TrimPrefix(r.URL.Path, "/v1/"), r.Form)
	if err != nil {
		status, body = err.status, object{"error": err.body}
	} else {
		status, body = http.StatusOK, copyOf(made)
		f.expand(body, r.Form)
	}
	// What was wrong with the request is not kept; what was decided is.
	if key != "" && r.Method == http.MethodPost && (err == nil || status == http.StatusPaymentRequired) {
		f.keys[key] = saved{params, status, body}
	}
	return status, body, false
}

// expand puts the charge where it was asked for.
func (f *Fake) expand(body object, form url.Values) {
	for name, values := range form {
		if strings.HasPrefix(name, "expand[") && slices.Contains(values, "latest_charge") {
			if id := body.str("latest_charge"); id != "" {
				body["latest_charge"] = copyOf(f.shown()[id])
			}
		}
	}
}

// only refuses parameters that are not among these; a name that ends in [ permits all that begin like it.
func only(form url.Values, names ...string) *failure {
	for name := range form {
		if !slices.ContainsFunc(names, func(n string) bool { return n == name || strings.HasSuffix(n, "[") && strings.HasPrefix(name, n) }) {
			return invalid("parameter_unknown", "Received unknown parameter: %s", name)
		}
	}
	return nil
}

func (f *Fake) route(method, path string, form url.Values) (object, *failure) {
	resource, rest, _ := strings.Cut(path, "/")
	id, action, _ := strings.Cut(rest, "/")
	switch {
	case method == http.MethodPost && rest == "":
		return f.create(resource, form)
	case method == http.MethodPost && resource == "payment_intents":
		return f.act(id, action, form)
	case method == http.MethodGet && rest == "":
		return f.list(resource, form)
	case method == http.MethodGet && action == "":
		if err := only(form, "expand["); err != nil {
			return nil, err
		}
		o, ok := f.shown()[id]
		if !ok || plural[o.str("object")] != resource {
			return nil, notThere(id)
		}
		return o, nil
	default:
		return nil, fail(http.StatusNotFound, "invalid_request_error", "", "Unrecognized request URL (%s: /v1/%s).", method, path)
	}
}

var plural = map[string]string{"customer": "customers", "payment_intent": "payment_intents", "charge": "charges", "refund": "refunds", "dispute": "disputes"}

func (f *Fake) create(resource string, form url.Values) (object, *failure) {
	switch resource {
	case "customers":
		if err := only(form, "email", "metadata["); err != nil {
			return nil, err
		}
		return f.add("cus", "customer", object{"email": form.Get("email"), "metadata": metadata(form)}), nil
	case "payment_intents":
		return f.createIntent(form)
	case "refunds":
		return f.createRefund(form)
	default:
		return nil, fail(http.StatusNotFound, "invalid_request_error", "", "Unrecognized request URL (POST: /v1/%s).", resource)
	}
}

func (f *Fake) createIntent(form url.Values) (object, *failure) {
	if err := only(form, "amount", "currency", "customer", "description", "metadata[", "payment_method", "confirm", "automatic_payment_methods[enabled]", "automatic_payment_methods[allow_redirects]"); err != nil {
		return nil, err
	}
	amount, err := positive(form, "amount")
	switch {
	case err != nil:
		return nil, err
	case form.Get("currency") == "":
		return nil, invalid("parameter_missing", "Missing required param: currency.")
	case amount < 50:
		return nil, invalid("amount_too_small", "Amount must be at least 50 cents")
	case form.Get("customer") != "" && f.objects[form.Get("customer")] == nil:
		return nil, notThere(form.Get("customer"))
	}
	pi := f.add("pi", "payment_intent", object{
		"amount": amount, "amount_received": int64(0), "currency": form.Get("currency"), "customer": form.Get("customer"), "description": form.Get("description"),
		"metadata": metadata(form), "status": "requires_payment_method", "latest_charge": nil, "last_payment_error": nil, "capture_method": "automatic",
	})
	pi["client_secret"] = pi.str("id") + "_secret_of" + strconv.Itoa(f.seq)
	f.emit("payment_intent.created", pi)
	if form.Get("confirm") == "true" {
		if declined := f.confirm(pi, form.Get("payment_method")); declined != nil {
			declined = copyOf(declined)
			declined["payment_intent"] = copyOf(pi)
			return nil, &failure{http.StatusPaymentRequired, declined}
		}
	}
	return pi, nil
}

func (f *Fake) act(id, action string, form url.Values) (object, *failure) {
	pi, ok := f.objects[id]
	if !ok || pi.str("object") != "payment_intent" {
		return nil, notThere(id)
	}
	if action != "cancel" {
		return nil, fail(http.StatusNotFound, "invalid_request_error", "", "Unrecognized request URL.")
	}
	if err := only(form, "cancellation_reason"); err != nil {
		return nil, err
	}
	if s := pi.str("status"); s == "succeeded" || s == "canceled" {
		return nil, invalid("payment_intent_unexpected_state", "You cannot cancel this PaymentIntent because it has a status of %s.", s)
	}
	pi["status"], pi["cancellation_reason"] = "canceled", form.Get("cancellation_reason")
	f.emit("payment_intent.canceled", pi)
	return pi, nil
}

func (f *Fake) createRefund(form url.Values) (object, *failure) {
	if err := only(form, "payment_intent", "amount", "metadata["); err != nil {
		return nil, err
	}
	pi, ok := f.objects[form.Get("payment_intent")]
	if !ok {
		return nil, notThere(form.Get("payment_intent"))
	}
	amount, err := positive(form, "amount")
	if err != nil {
		return nil, err
	}
	if pi.str("status") != "succeeded" {
		return nil, invalid("payment_intent_unexpected_state", "This PaymentIntent has no successful charge to refund.")
	}
	charge := f.must(pi.str("latest_charge"))
	switch left := charge.num("amount") - charge.num("amount_refunded"); {
	case charge["disputed"] == true:
		return nil, invalid("charge_disputed", "Charge %s has been charged back; cannot issue a refund.", charge.str("id"))
	case left == 0:
		return nil, invalid("charge_already_refunded", "Charge %s has already been refunded.", charge.str("id"))
	case amount > left:
		return nil, invalid("", "Refund amount (%d) is greater than unrefunded amount on charge (%d)", amount, left)
	}
	return f.refund(pi, amount, metadata(form)), nil
}

func positive(form url.Values, name string) (int64, *failure) {
	if form.Get(name) == "" {
		return 0, invalid("parameter_missing", "Missing required param: %s.", name)
	}
	n, err := strconv.ParseInt(form.Get(name), 10, 64)
	if err != nil || n <= 0 {
		return 0, invalid("parameter_invalid_integer", "Invalid integer: %s", form.Get(name))
	}
	return n, nil
}

func metadata(form url.Values) object {
	m := object{}
	for name := range form {
		if inner, ok := strings.CutPrefix(name, "metadata["); ok {
			m[strings.TrimSuffix(inner, "]")] = form.Get(name)
		}
	}
	return m
}

// list gives a page, newest first.
func (f *Fake) list(resource string, form url.Values) (object, *failure) {
	if err := only(form, "limit", "starting_after", "created[gte]", "customer", "email", "payment_intent", "delivery_success", "types["); err != nil {
		return nil, err
	}
	limit := int64(10)
	if form.Get("limit") != "" {
		var err *failure
		if limit, err = positive(form, "limit"); err != nil || limit > 100 {
			return nil, invalid("parameter_invalid_integer", "This value must be at most 100")
		}
	}
	since, _ := strconv.ParseInt(form.Get("created[gte]"), 10, 64) // 0 if it is not there.
	data, more, found := []object{}, false, form.Get("starting_after") == ""
	for _, o := range f.candidates(resource, form) {
		switch {
		case !found:
			found = o.str("id") == form.Get("starting_after")
		case o.num("created") < since || !matches(o, form, "customer", "email", "payment_intent"):
		case int64(len(data)) == limit:
			more = true
		default:
			data = append(data, copyOf(o))
		}
	}
	return object{"object": "list", "url": "/v1/" + resource, "has_more": more, "data": data}, nil
}

func matches(o object, form url.Values, names ...string) bool {
	for _, n := range names {
		if form.Get(n) != "" && o.str(n) != form.Get(n) {
			return false
		}
	}
	return true
}

func (f *Fake) candidates(resource string, form url.Values) (all []object) {
	if resource == "events" {
		var types []string
		for name, values := range form {
			if strings.HasPrefix(name, "types[") {
				types = append(types, values...)
			}
		}
		for _, e := range slices.Backward(f.events) {
			if (len(types) == 0 || slices.Contains(types, e.Type)) && (form.Get("delivery_success") != "false" || !e.Delivered) {
				all = append(all, e.object)
			}
		}
		return all
	}
	shown := f.shown()
	for _, id := range slices.Backward(f.order) {
		if o, ok := shown[id]; ok && plural[o.str("object")] == resource {
			all = append(all, o)
		}
	}
	return all
}
