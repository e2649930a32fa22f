package main

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/google/uuid"
	"github.com/spf13/cobra"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/ledger/pgstore"
)

// ledgerDatabase names the database that a command works on: by address, or by the folder of a running "agenttrail up".
type ledgerDatabase struct{ url, dir string }

func (d *ledgerDatabase) add(cmd *cobra.Command) {
	f := cmd.PersistentFlags()
	f.StringVar(&d.url, "url", "", "address of Postgres, postgres://user:password@host:5432/database; default $"+envPostgresURL+", else that of --data")
	f.StringVar(&d.dir, "data", defaultDataDir(), "data folder of a running \"agenttrail up\"")
}

// open connects to the database.
func (d *ledgerDatabase) open(ctx context.Context) (*pgstore.Store, error) {
	url := cmp.Or(d.url, os.Getenv(envPostgresURL))
	if url == "" {
		running, err := readRunning(d.dir)
		if err != nil {
			return nil, fmt.Errorf("%w; or name a database with --url", err)
		}
		url = running.Postgres
	}
	return pgstore.Open(ctx, pgstore.Settings{URL: url, MaxConns: 2})
}

// commandLine is the actor of what is done by a command: who may connect to the database may do everything.
func commandLine() ledger.Actor { return ledger.System("command-line") }

func newKeysCommand() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "keys",
		Short: "Make, list, rotate and revoke API keys of the ledger",
		Long: `Make, list, rotate and revoke API keys of the ledger.

These commands work on the database itself and need no key. The ledger keeps a hash of each key: its secret is printed
once, when it is made. A key has one or more scopes: execute (authorize, capture and release runs), manage (users, agents,
mandates, interactions), approve (decide approvals), admin (everything). A key with execute alone can change no mandate.`,
		Example: `  agenttrail keys create --name runner --scope execute
  agenttrail keys list
  agenttrail keys rotate 019bde24-89a1-7c3e-8f10-0242ac120002 --grace 24h
  agenttrail keys revoke 019bde24-89a1-7c3e-8f10-0242ac120002`,
		RunE: func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	var db ledgerDatabase
	db.add(cmd)
	cmd.AddCommand(newKeysCreateCommand(&db), newKeysListCommand(&db), newKeysRotateCommand(&db), newKeysRevokeCommand(&db))
	return cmd
}

func newKeysCreateCommand(db *ledgerDatabase) *cobra.Command {
	var name, user string
	var scopes []string
	var expires time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use:   "create",
		Short: "Make an API key and print its secret, once",
		Example: `  agenttrail keys create --name runner --scope execute
  agenttrail keys create --name back-office --scope manage,approve --expires-in 2160h
  KEY=$(agenttrail keys create --name app --scope execute --user 019bde24-89a1-7c3e-8f10-0242ac120002)`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			in := ledger.KeyInput{Name: name}
			for _, s := range scopes {
				if !slices.Contains(ledger.Scopes(), ledger.Scope(s)) {
					return usageError{fmt.Errorf("there is no scope %q: choose of execute, manage, approve and admin", s)}
				}
				in.Scopes = append(in.Scopes, ledger.Scope(s))
			}
			if name == "" || len(in.Scopes) == 0 {
				return usageError{errors.New("say what the key is for and what it may do: --name runner --scope execute")}
			}
			if user != "" {
				id, err := uuid.Parse(user)
				if err != nil {
					return usageError{fmt.Errorf("read --user: %w", err)}
				}
				in.UserID = &id
			}
			if expires < 0 {
				return usageError{errors.New("--expires-in must not be negative")}
			}
			if expires > 0 {
				at := time.Now().Add(expires)
				in.ExpiresAt = &at
			}
			store, err := db.open(cmd.Context())
			if err != nil {
				return err
			}
			defer store.Close()
			issued, err := store.CreateKey(cmd.Context(), &ledger.Call{Actor: commandLine()}, in)
			if err != nil {
				return fmt.Errorf("create key: %w", err)
			}
			return printIssued(cmd, issued, asJSON)
		},
	}
	f := cmd.Flags()
	f.StringVar(&name, "name", "", "what it is for")
	f.StringSliceVar(&scopes, "scope", nil, "what it may do: execute, manage, approve, admin; may be repeated")
	f.StringVar(&user, "user", "", "id of the user that it acts for; without one it acts for the platform")
	f.DurationVar(&expires, "expires-in", 0, "time for which it works; 0 is for ever")
	f.BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// printIssued prints the secret on standard output and all else on standard error, so that a script gets the secret.
func printIssued(cmd *cobra.Command, issued ledger.IssuedKey, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(cmd.OutOrStdout()).Encode(issued) //nolint:gosec // To show the secret is what the command is for.
	}
	fmt.Fprintf(cmd.ErrOrStderr(), "key %s (%s), scopes %s; this is its secret, which is shown once:\n", issued.Key.ID, issued.Key.Name, scopeList(issued.Key))
	_, err := fmt.Fprintln(cmd.OutOrStdout(), issued.Secret)
	return err
}

func scopeList(k ledger.APIKey) string {
	names := make([]string, 0, len(k.Scopes))
	for _, s := range k.Scopes {
		names = append(names, string(s))
	}
	return strings.Join(names, ",")
}

func newKeysListCommand(db *ledgerDatabase) *cobra.Command {
	var all, asJSON bool
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List API keys, without their secrets",
		Example: `  agenttrail keys list --all --json`,
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			store, err := db.open(cmd.Context())
			if err != nil {
				return err
			}
			defer store.Close()
			keys := []ledger.APIKey{}
			page := ledger.Page{Limit: ledger.MaxPageLimit}
			for {
				l, err := store.Keys(cmd.Context(), commandLine(), ledger.KeyFilter{Live: !all}, page)
				if err != nil {
					return fmt.Errorf("list keys: %w", err)
				}
				keys = append(keys, l.Items...)
				if page.Cursor = l.Next; l.Next == "" {
					break
				}
			}
			if asJSON {
				return json.NewEncoder(cmd.OutOrStdout()).Encode(keys)
			}
			w := tabwriter.NewWriter(cmd.OutOrStdout(), 0, 0, 2, ' ', 0)
			fmt.Fprintln(w, "ID\tNAME\tPREFIX\tSCOPES\tUSER\tCREATED\tLAST USED\tEXPIRES\tREVOKED")
			for _, k := range keys {
				user := "-"
				if k.UserID != nil {
					user = k.UserID.String()
				}
				fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n", k.ID, k.Name, k.Prefix, scopeList(k), user,
					k.CreatedAt.UTC().Format(time.DateTime), moment(k.LastUsedAt), moment(k.ExpiresAt), moment(k.RevokedAt))
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&all, "all", false, "also those that are revoked or expired")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func moment(t *time.Time) string {
	if t == nil {
		return "-"
	}
	return t.UTC().Format(time.DateTime)
}

func newKeysRotateCommand(db *ledgerDatabase) *cobra.Command {
	var grace time.Duration
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "rotate ID",
		Short:   "Replace an API key by a new one that may do the same, and print its secret, once",
		Example: `  agenttrail keys rotate 019bde24-89a1-7c3e-8f10-0242ac120002 --grace 24h`,
		Args:    oneKeyID,
		RunE: func(cmd *cobra.Command, args []string) error {
			if grace < 0 || grace > ledger.MaxGrace {
				return usageError{fmt.Errorf("--grace must be between 0 and %s", ledger.MaxGrace)}
			}
			store, err := db.open(cmd.Context())
			if err != nil {
				return err
			}
			defer store.Close()
			issued, err := store.RotateKey(cmd.Context(), &ledger.Call{Actor: commandLine()}, uuid.MustParse(args[0]), grace)
			if err != nil {
				return fmt.Errorf("rotate key: %w", err)
			}
			return printIssued(cmd, issued, asJSON)
		},
	}
	cmd.Flags().DurationVar(&grace, "grace", 0, "time for which the old key still works; 0 ends it at once")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newKeysRevokeCommand(db *ledgerDatabase) *cobra.Command {
	return &cobra.Command{
		Use:     "revoke ID",
		Short:   "Revoke an API key at once and for good",
		Example: `  agenttrail keys revoke 019bde24-89a1-7c3e-8f10-0242ac120002`,
		Args:    oneKeyID,
		RunE: func(cmd *cobra.Command, args []string) error {
			store, err := db.open(cmd.Context())
			if err != nil {
				return err
			}
			defer store.Close()
			k, err := store.RevokeKey(cmd.Context(), &ledger.Call{Actor: commandLine()}, uuid.MustParse(args[0]))
			if err != nil {
				return fmt.Errorf("revoke key: %w", err)
			}
			fmt.Fprintf(cmd.OutOrStdout(), "key %s (%s) is revoked\n", k.ID, k.Name)
			return nil
		},
	}
}

// oneKeyID takes the id of a key, not its secret, which would stay in the shell's history.
func oneKeyID(cmd *cobra.Command, args []string) error {
	if len(args) != 1 {
		return usageError{fmt.Errorf("name one key by its id, as %q shows it", "agenttrail keys list")}
	}
	if _, err := uuid.Parse(args[0]); err != nil {
		return usageError{fmt.Errorf("the argument is not the id of a key: %q shows them", "agenttrail keys list")}
	}
	return cobra.ExactArgs(1)(cmd, args)
}
