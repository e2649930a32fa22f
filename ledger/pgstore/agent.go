package pgstore

import (
	"context"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/agenttrail/agenttrail/ledger"
)

const versionColumns = `v.agent_id, v.version, v.provider, v.config, v.pricing, v.input_schema, v.output_schema, v.created_at, v.created_by`

const selectAgent = `SELECT a.id, a.slug, a.name, a.category, a.description, a.owner_user_id, a.status, a.created_at, a.updated_at, a.row_version, ` + versionColumns + `
	FROM ledger.agents a LEFT JOIN ledger.agent_versions v ON v.agent_id = a.id AND v.version = a.version`

func scanAgent(row pgx.CollectableRow) (ledger.Agent, error) {
	var a ledger.Agent
	var v struct {
		agent              *uuid.UUID
		version            *int
		provider           *string
		config, input, out []byte
		pricing            *ledger.Pricing
		createdAt          *time.Time
		createdBy          *string
	}
	err := row.Scan(&a.ID, &a.Slug, &a.Name, &a.Category, &a.Description, &a.OwnerID, &a.Status, &a.CreatedAt, &a.UpdatedAt, &a.RowVersion,
		&v.agent, &v.version, &v.provider, &v.config, &v.pricing, &v.input, &v.out, &v.createdAt, &v.createdBy)
	if err == nil && v.agent != nil {
		a.Version = &ledger.AgentVersion{
			AgentID: *v.agent, Version: *v.version, Provider: *v.provider, Config: v.config, Pricing: *v.pricing,
			InputSchema: v.input, OutputSchema: v.out, CreatedAt: *v.createdAt, CreatedBy: *v.createdBy,
		}
	}
	return a, err
}

func scanVersion(row pgx.CollectableRow) (ledger.AgentVersion, error) {
	var v ledger.AgentVersion
	return v, row.Scan(&v.AgentID, &v.Version, &v.Provider, (*[]byte)(&v.Config), &v.Pricing, (*[]byte)(&v.InputSchema), (*[]byte)(&v.OutputSchema), &v.CreatedAt, &v.CreatedBy)
}

func readAgent(ctx context.Context, q querier, id uuid.UUID) (ledger.Agent, error) {
	return queryOne(ctx, q, "agent", selectAgent+" WHERE a.id = $1", []any{id}, scanAgent)
}

// RegisterAgent implements [ledger.Agents].
func (s *Store) RegisterAgent(ctx context.Context, call *ledger.Call, in ledger.AgentInput) (ledger.Agent, error) {
	if err := call.Actor.Require(ledger.ScopeManage); err != nil {
		return ledger.Agent{}, err
	}
	if err := call.Actor.MayTouch(in.OwnerID); err != nil {
		return ledger.Agent{}, err
	}
	if err := in.Validate(); err != nil {
		return ledger.Agent{}, err
	}
	return write(ctx, s, call, func(ctx context.Context, w *work) (ledger.Agent, error) {
		if in.Status == "" {
			in.Status = ledger.AgentActive
		}
		id := orNew(in.ID)
		if _, err := w.Exec(ctx, "INSERT INTO ledger.agents (id, slug, name, category, description, owner_user_id, status) VALUES ($1, $2, $3, $4, $5, $6, $7)",
			id, in.Slug, in.Name, in.Category, in.Description, in.OwnerID, string(in.Status)); err != nil {
			return ledger.Agent{}, err
		}
		if in.Version != nil {
			if err := w.publish(ctx, id, nil, *in.Version); err != nil {
				return ledger.Agent{}, err
			}
		}
		return readAgent(ctx, w, id)
	})
}

// publish adds the version after prior, which is nil for the first.
func (w *work) publish(ctx context.Context, agent uuid.UUID, prior *ledger.AgentVersion, in ledger.VersionInput) error {
	v := ledger.AgentVersion{Config: json.RawMessage("{}"), InputSchema: json.RawMessage("{}"), OutputSchema: json.RawMessage("{}")}
	if prior != nil {
		v = *prior
	}
	if in.Provider != nil {
		v.Provider = *in.Provider
	}
	if in.Pricing != nil {
		v.Pricing = *in.Pricing
	}
	pricing, err := json.Marshal(v.Pricing)
	if err != nil {
		return fmt.Errorf("write pricing: %w", err)
	}
	_, err = w.Exec(ctx, "INSERT INTO ledger.agent_versions (agent_id, version, provider, config, pricing, input_schema, output_schema, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7, $8)",
		agent, v.Version+1, v.Provider, docOr(in.Config, string(v.Config)), pricing, docOr(in.InputSchema, string(v.InputSchema)), docOr(in.OutputSchema, string(v.OutputSchema)), w.call.Actor.String())
	return err
}

// changeAgent locks an agent that is not retired and runs f.
func (s *Store) changeAgent(ctx context.Context, call *ledger.Call, id uuid.UUID, version int, f func(ctx context.Context, w *work, a ledger.Agent) error) (ledger.Agent, error) {
	if err := call.Actor.Require(ledger.ScopeManage); err != nil {
		return ledger.Agent{}, err
	}
	return write(ctx, s, call, func(ctx context.Context, w *work) (ledger.Agent, error) {
		if _, err := w.Exec(ctx, "SELECT FROM ledger.agents WHERE id = $1 FOR NO KEY UPDATE", id); err != nil {
			return ledger.Agent{}, err
		}
		a, err := readAgent(ctx, w, id)
		if err == nil && call.Actor.UserID != uuid.Nil && a.OwnerID != call.Actor.UserID {
			// Everybody can see it, so there is nothing to hide.
			err = ledger.Errorf(ledger.CodeForbidden, "the agent is another user's")
		}
		if err == nil {
			err = ifVersion(version, a.RowVersion)
		}
		if err == nil && a.Status == ledger.AgentRetired {
			err = ledger.Errorf(ledger.CodeConflict, "the agent is retired")
		}
		if err == nil {
			err = f(ctx, w, a)
		}
		if err != nil {
			return ledger.Agent{}, err
		}
		return readAgent(ctx, w, id)
	})
}

// ChangeAgent implements [ledger.Agents].
func (s *Store) ChangeAgent(ctx context.Context, call *ledger.Call, id uuid.UUID, in ledger.AgentChange) (ledger.Agent, error) {
	if err := in.Validate(); err != nil {
		return ledger.Agent{}, err
	}
	return s.changeAgent(ctx, call, id, in.IfVersion, func(ctx context.Context, w *work, _ ledger.Agent) error {
		_, err := w.Exec(ctx, `UPDATE ledger.agents SET name = coalesce($2, name), category = coalesce($3, category), description = coalesce($4, description),
			status = coalesce($5, status), updated_at = now(), row_version = row_version + 1 WHERE id = $1`, id, in.Name, in.Category, in.Description, (*string)(in.Status))
		return err
	})
}

// PublishVersion implements [ledger.Agents].
func (s *Store) PublishVersion(ctx context.Context, call *ledger.Call, id uuid.UUID, in ledger.VersionInput) (ledger.Agent, error) {
	if err := in.Validate(); err != nil {
		return ledger.Agent{}, err
	}
	return s.changeAgent(ctx, call, id, in.IfVersion, func(ctx context.Context, w *work, a ledger.Agent) error {
		return w.publish(ctx, id, a.Version, in)
	})
}

// ChangePrice implements [ledger.Agents].
func (s *Store) ChangePrice(ctx context.Context, call *ledger.Call, id uuid.UUID, version int, price ledger.Pricing) (ledger.Agent, error) {
	return s.PublishVersion(ctx, call, id, ledger.VersionInput{IfVersion: version, Pricing: &price})
}

// Agent implements [ledger.Agents].
func (s *Store) Agent(ctx context.Context, _ ledger.Actor, slugOrID string) (ledger.Agent, error) {
	return readOne(ctx, s, "agent", selectAgent+" WHERE "+agentCondition(slugOrID), []any{slugOrID}, scanAgent)
}

// Agents implements [ledger.Agents].
func (s *Store) Agents(ctx context.Context, _ ledger.Actor, f ledger.AgentFilter, p ledger.Page) (ledger.List[ledger.Agent], error) {
	q := query{}
	q.whereUser("a.owner_user_id", f.OwnerID)
	q.whereText("a.category", f.Category)
	q.whereText("a.status", string(f.Status))
	return list(ctx, s, selectAgent, q, byTime{"a.created_at", "a.id"}, p, scanAgent, func(a ledger.Agent) string { return timeCursor(a.CreatedAt, a.ID) })
}

// AgentVersions implements [ledger.Agents].
func (s *Store) AgentVersions(ctx context.Context, actor ledger.Actor, id uuid.UUID, p ledger.Page) (ledger.List[ledger.AgentVersion], error) {
	if _, err := s.Agent(ctx, actor, id.String()); err != nil {
		return ledger.List[ledger.AgentVersion]{}, err
	}
	q := query{}
	q.where("v.agent_id = $", id)
	return list(ctx, s, "SELECT "+versionColumns+" FROM ledger.agent_versions v", q, byNumber{"v.version"}, p, scanVersion, func(v ledger.AgentVersion) string { return strconv.Itoa(v.Version) })
}
