// Package stripetest stands in for Stripe in tests.
//
// [Start] starts Stripe's own mock, which knows every request and parameter of the API and remembers nothing: it shows
// whether what we send is right. [New] makes a [Fake], which knows a few requests only and remembers everything: what was
// paid, refunded and disputed, under which idempotency key, and which events that has caused. It shows whether what we do
// is right, with answers that get lost, cards that are declined, and events that come late, twice or in another order.
package stripetest
