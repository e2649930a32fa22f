package backup

import (
	"context"
	"time"
)

// Settings say what a backup is made of. An empty address, or no journal, leaves that out.
type Settings struct {
	Dir           string // The folder, from [Prepare].
	PostgresURL   string
	ClickHouseURL string
	Database      string   // Of ClickHouse.
	Journals      []string // Folders; their locks must be held by the caller.
	Version       string   // Of this program.
	Progress      func(what string)
}

// Create makes a backup. Postgres comes before ClickHouse: what the ledger takes from telemetry it takes again, while it
// would not look for what it believes to have.
func Create(ctx context.Context, s Settings) (*Manifest, error) {
	m := &Manifest{Format: formatVersion, CreatedAt: time.Now().UTC(), Version: s.Version}
	say := s.Progress
	if say == nil {
		say = func(string) {}
	}
	var err error
	if s.PostgresURL != "" {
		say("Postgres")
		if m.Postgres, err = backupPostgres(ctx, s.Dir, s.PostgresURL); err != nil {
			return nil, err
		}
	}
	if s.ClickHouseURL != "" {
		say("ClickHouse")
		if m.ClickHouse, err = backupClickHouse(ctx, s.Dir, s.ClickHouseURL, s.Database); err != nil {
			return nil, err
		}
	}
	for i, journal := range s.Journals {
		say("journal " + journal)
		j, err := copyJournal(s.Dir, journal, i)
		if err != nil {
			return nil, err
		}
		m.Journals = append(m.Journals, j)
	}
	return m, m.write(s.Dir)
}
