package pgstore

import (
	"context"

	"github.com/google/uuid"
	"github.com/jackc/pgx/v5"

	"github.com/agenttrail/agenttrail/ledger"
)

const selectInteraction = `SELECT i.user_id, i.agent_id, i.rating, i.feedback, i.is_favorite, i.updated_at, i.row_version FROM ledger.user_agent_interactions i`

func scanInteraction(row pgx.CollectableRow) (ledger.Interaction, error) {
	var i ledger.Interaction
	return i, row.Scan(&i.UserID, &i.AgentID, &i.Rating, &i.Feedback, &i.IsFavorite, &i.UpdatedAt, &i.RowVersion)
}

// PutInteraction implements [ledger.Interactions].
func (s *Store) PutInteraction(ctx context.Context, call *ledger.Call, user, agent uuid.UUID, in ledger.InteractionInput) (ledger.Interaction, error) {
	if err := call.Actor.Require(ledger.ScopeManage); err != nil {
		return ledger.Interaction{}, err
	}
	if err := call.Actor.MayTouch(user); err != nil {
		return ledger.Interaction{}, err
	}
	if err := in.Validate(); err != nil {
		return ledger.Interaction{}, err
	}
	return write(ctx, s, call, func(ctx context.Context, w *work) (ledger.Interaction, error) {
		own, err := w.lockWallet(ctx, user)
		if err != nil {
			return ledger.Interaction{}, err
		}
		if own.closed {
			return ledger.Interaction{}, refusedBecause(ledger.CodeUserClosed)
		}
		if _, err := readAgent(ctx, w, agent); err != nil {
			return ledger.Interaction{}, err
		}
		before, err := interaction(ctx, w, user, agent)
		if err == nil {
			err = ifVersion(in.IfVersion, before.RowVersion)
			if in.IfVersion == ledger.NoInteraction && before.RowVersion == 0 {
				err = nil
			}
		}
		if err != nil {
			return ledger.Interaction{}, err
		}
		if _, err := w.Exec(ctx, `INSERT INTO ledger.user_agent_interactions AS i (user_id, agent_id, rating, feedback, is_favorite) VALUES ($1, $2, $3, $4, $5)
			ON CONFLICT (user_id, agent_id) DO UPDATE SET rating = excluded.rating, feedback = excluded.feedback, is_favorite = excluded.is_favorite,
			updated_at = clock_timestamp(), row_version = i.row_version + 1`, user, agent, in.Rating, in.Feedback, in.IsFavorite); err != nil {
			return ledger.Interaction{}, err
		}
		return interaction(ctx, w, user, agent)
	})
}

func interaction(ctx context.Context, q querier, user, agent uuid.UUID) (ledger.Interaction, error) {
	i, err := queryOne(ctx, q, "interaction", selectInteraction+" WHERE i.user_id = $1 AND i.agent_id = $2", []any{user, agent}, scanInteraction)
	if ledger.CodeOf(err) == ledger.CodeNotFound {
		return ledger.Interaction{UserID: user, AgentID: agent}, nil
	}
	return i, err
}

// Interaction implements [ledger.Interactions].
func (s *Store) Interaction(ctx context.Context, actor ledger.Actor, user, agent uuid.UUID) (i ledger.Interaction, err error) {
	if err := actor.MayTouch(user); err != nil {
		return i, err
	}
	err = s.inTx(ctx, func(q querier) error {
		if _, err := readUser(ctx, q, user); err != nil {
			return err
		}
		if _, err := readAgent(ctx, q, agent); err != nil {
			return err
		}
		i, err = interaction(ctx, q, user, agent)
		return err
	})
	return i, err
}

// Interactions implements [ledger.Interactions].
func (s *Store) Interactions(ctx context.Context, actor ledger.Actor, user uuid.UUID, favorites bool, p ledger.Page) (ledger.List[ledger.Interaction], error) {
	if _, err := s.User(ctx, actor, user); err != nil {
		return ledger.List[ledger.Interaction]{}, err
	}
	q := query{}
	q.where("i.user_id = $", user)
	if favorites {
		q.where("i.is_favorite = $", true)
	}
	return list(ctx, s, selectInteraction, q, byID{"i.agent_id"}, p, scanInteraction, func(i ledger.Interaction) string { return i.AgentID.String() })
}
