// Package stripepay sells credits through Stripe.
//
// # What happens
//
// A top-up is written down before Stripe hears of it, under the id that is then Stripe's idempotency key, so asking again
// after a crash or a timeout is the same request. The user pays the PaymentIntent with Stripe's own library, by its client
// secret, or with a saved payment method, at once. From then on only one thing is ever done: to read the payment at
// Stripe, with its refunds and disputes, and to bring the ledger to what was read ([Service.Process] for an event,
// [Service.SweepPayments] for what no event has told). The ledger takes no step back and knows which of two readings is
// older, so events may come in any order, twice, late or never.
//
// # Events
//
// [Service.ReceiveEvent] checks the signature over the raw body, with every secret that is configured, so that secrets can
// be rotated, and the time of the signature in both directions. The event is stored once, by its id, together with a job,
// and answered. What it says about the payment is not believed: its id is all that counts.
//
// # When something is lost
//
// Whatever is open is compared with Stripe from time to time: a top-up that Stripe may have and we may not know of is
// found by its metadata, and one that Stripe does not have is asked for again. Events that could not be delivered are
// asked for, and so are recent refunds and disputes.
package stripepay
