package stripetest

// Payment methods, and what becomes of a payment with them. Their names are those of Stripe's own test cards.
const (
	CardPays       = "pm_card_visa"
	CardDeclined   = "pm_card_chargeDeclined"
	CardNeedsProof = "pm_card_authenticationRequired"
	SlowTransfer   = "pm_usBankAccount" // succeeds or fails days later, see [Fake.Clear]
)

// Pay is what the user does in a browser: an attempt to pay.
func (f *Fake) Pay(intent, method string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.confirm(f.must(intent), method)
}

// confirm is an attempt to pay. Its error is that of a card.
func (f *Fake) confirm(pi object, method string) object {
	pi["payment_method"] = method
	switch method {
	case CardPays:
		f.succeed(pi)
	case CardNeedsProof:
		pi["status"] = "requires_action"
		f.emit("payment_intent.requires_action", pi)
	case SlowTransfer:
		pi["status"] = "processing"
		pi["last_payment_error"] = nil
		f.emit("payment_intent.processing", pi)
	default:
		return f.decline(pi, "card_declined", "generic_decline", "Your card was declined.")
	}
	return nil
}

// Prove is what the user does when the bank wants a proof.
func (f *Fake) Prove(intent string, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.finish(f.must(intent), ok, "payment_intent_authentication_failure")
}

// Clear ends a slow transfer.
func (f *Fake) Clear(intent string, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.finish(f.must(intent), ok, "payment_method_provider_decline")
}

func (f *Fake) finish(pi object, ok bool, code string) {
	if ok {
		f.succeed(pi)
		return
	}
	f.decline(pi, code, "", "The payment has failed.")
}

func (f *Fake) succeed(pi object) {
	charge := f.add("ch", "charge", object{
		"amount": pi["amount"], "amount_captured": pi["amount"], "amount_refunded": int64(0), "currency": pi["currency"], "customer": pi["customer"], "captured": true,
		"disputed": false, "paid": true, "refunded": false, "status": "succeeded", "payment_intent": pi["id"], "metadata": copyOf(pi["metadata"].(object)), //nolint:forcetypeassert // We have made it.
	})
	pi["status"], pi["amount_received"], pi["latest_charge"], pi["last_payment_error"] = "succeeded", pi["amount"], charge["id"], nil
	f.emit("charge.succeeded", charge)
	f.emit("payment_intent.succeeded", pi)
}

func (f *Fake) decline(pi object, code, decline, message string) object {
	charge := f.add("ch", "charge", object{
		"amount": pi["amount"], "amount_captured": int64(0), "amount_refunded": int64(0), "currency": pi["currency"], "customer": pi["customer"], "captured": false,
		"disputed": false, "paid": false, "refunded": false, "status": "failed", "failure_code": code, "failure_message": message, "payment_intent": pi["id"], "metadata": object{},
	})
	failure := object{"type": "card_error", "code": code, "message": message}
	if decline != "" {
		failure["decline_code"] = decline
	}
	pi["status"], pi["payment_method"], pi["latest_charge"], pi["last_payment_error"] = "requires_payment_method", nil, charge["id"], failure
	f.emit("charge.failed", charge)
	f.emit("payment_intent.payment_failed", pi)
	return failure
}

// Refund is what people do in Stripe's dashboard. It returns the refund.
func (f *Fake) Refund(intent string, cents int64) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.refund(f.must(intent), cents, object{}).str("id")
}

func (f *Fake) refund(pi object, cents int64, metadata object) object {
	charge := f.must(pi.str("latest_charge"))
	r := f.add("re", "refund", object{
		"amount": cents, "currency": pi["currency"], "charge": charge["id"], "payment_intent": pi["id"], "status": "succeeded", "reason": nil, "metadata": metadata,
	})
	f.returned(charge, cents)
	f.emit("refund.created", r)
	f.emit("charge.refunded", charge)
	return r
}

func (f *Fake) returned(charge object, cents int64) {
	charge["amount_refunded"] = charge.num("amount_refunded") + cents
	charge["refunded"] = charge.num("amount_refunded") == charge.num("amount")
}

// FailRefund is what a bank does days later.
func (f *Fake) FailRefund(refund string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	r := f.must(refund)
	r["status"], r["failure_reason"] = "failed", "expired_or_canceled_card"
	charge := f.must(r.str("charge"))
	f.returned(charge, -r.num("amount"))
	f.emit("refund.failed", r)
	f.emit("charge.refund.updated", r)
}

// Dispute is what a payer does at the bank. It returns the dispute.
func (f *Fake) Dispute(intent string, cents int64) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	pi := f.must(intent)
	charge := f.must(pi.str("latest_charge"))
	charge["disputed"] = true
	d := f.add("dp", "dispute", object{
		"amount": cents, "currency": pi["currency"], "charge": charge["id"], "payment_intent": pi["id"], "status": "needs_response", "reason": "fraudulent", "metadata": object{},
		"is_charge_refundable": false,
	})
	f.emit("charge.dispute.created", d)
	f.emit("charge.dispute.funds_withdrawn", d)
	return d.str("id")
}

// Answer sends evidence for a dispute.
func (f *Fake) Answer(dispute string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.must(dispute)
	d["status"] = "under_review"
	f.emit("charge.dispute.updated", d)
}

// Decide ends a dispute.
func (f *Fake) Decide(dispute string, won bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	d := f.must(dispute)
	d["status"] = "lost"
	if won {
		d["status"] = "won"
		f.emit("charge.dispute.funds_reinstated", d)
	}
	f.emit("charge.dispute.closed", d)
}
