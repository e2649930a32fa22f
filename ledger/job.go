package ledger

import "time"

// Grace is how long a rotated key still works.
type Grace = time.Duration

// MaxGrace is the longest Grace.
const MaxGrace Grace = 30 * 24 * time.Hour

// Expired says how many of each kind have expired.
type Expired struct {
	Holds, Approvals, Grants int
}

// Totals are sums over all users.
type Totals struct {
	Users     int64                `json:"users"` // active
	Posted    Credits              `json:"posted"`
	Held      Credits              `json:"held"`
	Holds     map[HoldStatus]int64 `json:"holds"`     // those that are active
	HoldsDue  int64                `json:"holdsDue"`  // active and past their end
	Approvals int64                `json:"approvals"` // pending
	Unsealed  int64                `json:"unsealed"`  // audit rows without a block
	OldestDue time.Duration        `json:"oldestDue"` // age of the oldest due hold
	Keys      int64                `json:"keys"`      // API keys that can be used
	Expiring  []KeyExpiry          `json:"expiring"`  // the first of them to end, see KeyExpiry
}

// KeyExpiry is when an API key ends that has no successor. Totals have up to twenty that end within 30 days or have ended
// within the last day.
type KeyExpiry struct {
	Name      string    `json:"name"`
	Prefix    string    `json:"prefix"` // what is shown of the secret
	ExpiresAt time.Time `json:"expiresAt"`
}
