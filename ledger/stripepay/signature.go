package stripepay

import (
	"crypto/hmac"
	"encoding/hex"
	"strconv"
	"strings"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"
)

// signatureError is what is wrong with a signature, and how that is counted.
type signatureError struct{ label, message string }

func (e *signatureError) Error() string { return e.message }

var (
	errNotSigned = &signatureError{"bad_signature", "there is no header Stripe-Signature that can be read"}
	errSignature = &signatureError{"bad_signature", "none of the signatures is by one of our secrets"}
	errStale     = &signatureError{"stale", "the signature was made at another time"}
)

// verify checks that one of the secrets has signed the body at about this time. The library's own check lets signatures
// of the future pass, so that one that leaked out of a clock that ran ahead could be used for long.
//
// The header is t=<seconds>,v1=<hex>,v1=<hex>: a body is signed with each secret of the endpoint. See
// https://docs.stripe.com/webhooks#verify-manually.
func verify(body []byte, headers, secrets []string, now time.Time, tolerance time.Duration) *signatureError {
	if len(headers) != 1 {
		return errNotSigned
	}
	var at time.Time
	var signatures [][]byte
	for part := range strings.SplitSeq(headers[0], ",") {
		name, value, _ := strings.Cut(part, "=")
		switch name {
		case "t":
			seconds, err := strconv.ParseInt(value, 10, 64)
			if err != nil || !at.IsZero() {
				return errNotSigned
			}
			at = time.Unix(seconds, 0)
		case "v1":
			if s, err := hex.DecodeString(value); err == nil && len(s) > 0 {
				signatures = append(signatures, s)
			}
		}
	}
	if at.IsZero() || len(signatures) == 0 {
		return errNotSigned
	}
	valid := false
	for _, secret := range secrets {
		want := webhook.ComputeSignature(at, body, secret)
		for _, s := range signatures {
			valid = hmac.Equal(s, want) || valid
		}
	}
	switch {
	case !valid:
		return errSignature
	case now.Sub(at).Abs() > tolerance:
		return errStale
	default:
		return nil
	}
}
