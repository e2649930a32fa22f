package ledgerclient_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log"
	"time"

	"github.com/google/uuid"

	"github.com/agenttrail/agenttrail/ledger"
	"github.com/agenttrail/agenttrail/sdk/ledgerclient"
)

// Ids of the examples below.
var (
	userID    = uuid.MustParse("0198c0de-0000-7000-8000-000000000001")
	mandateID = uuid.MustParse("0198c0de-0000-7000-8000-000000000002")
	agentID   = uuid.MustParse("0198c0de-0000-7000-8000-000000000003")
)

// connect makes the client of the examples below.
func connect() *ledgerclient.Client {
	client, err := ledgerclient.New(ledgerclient.Config{URL: "http://127.0.0.1:8080", Key: "secret"})
	if err != nil {
		log.Fatal(err)
	}
	return client
}

// A platform makes a user, changes their name and closes their account.
func ExampleClient_CreateUser() {
	ctx, client := context.Background(), connect()
	user, err := client.CreateUser(ctx, ledgerclient.User{Email: "ada@example.com", DisplayName: "Ada", Profile: json.RawMessage(`{"plan":"pro"}`)})
	if err != nil {
		log.Fatal(err)
	}
	name := "Ada Lovelace"
	user, err = client.ChangeUser(ctx, user.ID, ledgerclient.IfVersion(user.RowVersion), ledgerclient.UserChange{DisplayName: &name})
	if err != nil {
		log.Fatal(err)
	}
	balance, err := client.Balance(ctx, user.ID)
	fmt.Println(user.DisplayName, balance.Available, err)
	_, err = client.CloseUser(ctx, user.ID, ledgerclient.AnyVersion)
	fmt.Println(err)
}

// Two administrators edit the same user: who comes second is told so, reads again and decides.
func ExampleIfVersion() {
	ctx, client := context.Background(), connect()
	user, err := client.User(ctx, userID)
	if err != nil {
		log.Fatal(err)
	}
	email := "ada@example.org"
	_, err = client.ChangeUser(ctx, user.ID, ledgerclient.IfVersion(user.RowVersion), ledgerclient.UserChange{Email: &email})
	fmt.Println(err) // A Problem with the code of ledger.CodeVersionMismatch when somebody was faster.
}

// A list asks for one page after the other while it is gone through.
func ExampleClient_Users() {
	ctx, client := context.Background(), connect()
	for user, err := range client.Users(ctx, ledger.UserFilter{Status: ledger.UserActive}) {
		if err != nil {
			log.Fatal(err)
		}
		fmt.Println(user.Email)
	}
}

// A user rates an agent and marks it.
func ExampleClient_PutInteraction() {
	ctx, client := context.Background(), connect()
	before, err := client.Interaction(ctx, userID, agentID)
	if err != nil {
		log.Fatal(err)
	}
	rating := 5
	_, err = client.PutInteraction(ctx, userID, agentID, ledgerclient.IfVersion(before.RowVersion), ledgerclient.Interaction{Rating: &rating, Feedback: "Saved me an hour.", IsFavorite: true})
	if err != nil {
		log.Fatal(err)
	}
	for said, err := range client.Interactions(ctx, userID, true) {
		fmt.Println(said.AgentID, said.Feedback, err)
	}
}

// A worker gets a key that may only run agents; later it is replaced, and the old one revoked.
func ExampleClient_CreateKey() {
	ctx, client := context.Background(), connect()
	issued, err := client.CreateKey(ctx, ledgerclient.Key{Name: "worker", Scopes: []ledger.Scope{ledger.ScopeExecute}})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(issued.Key.Prefix, "keep the secret, it is shown once")
	next, err := client.RotateKey(ctx, issued.Key.ID, time.Hour)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(next.Key.ID)
	if _, err := client.RevokeKey(ctx, issued.Key.ID); err != nil {
		log.Fatal(err)
	}
	for key, err := range client.Keys(ctx, ledger.KeyFilter{Live: true}) {
		fmt.Println(key.Name, key.LastUsedAt, err)
	}
	own, err := client.OwnKey(ctx)
	fmt.Println(own.Scopes, err)
	read, err := client.Key(ctx, own.ID)
	fmt.Println(read.CreatedBy, err)
}

// A developer registers an agent, and changes its description, price and version.
func ExampleClient_RegisterAgent() {
	ctx, client := context.Background(), connect()
	provider, price := "anthropic", ledger.Pricing{PerExecution: 2 * ledger.Credit, PerThousandTokens: ledger.Credit / 2}
	agent, err := client.RegisterAgent(ctx, ledgerclient.Agent{
		Slug: "summarizer", Name: "Summarizer", Category: "research", OwnerID: userID,
		Version: &ledgerclient.Version{Provider: &provider, Pricing: &price},
	})
	if err != nil {
		log.Fatal(err)
	}
	description := "Makes long texts short."
	agent, err = client.ChangeAgent(ctx, agent.ID, ledgerclient.IfVersion(agent.RowVersion), ledgerclient.AgentChange{Description: &description})
	if err != nil {
		log.Fatal(err)
	}
	price.PerExecution = 3 * ledger.Credit
	if _, err = client.ChangePrice(ctx, agent.ID, ledgerclient.AnyVersion, price); err != nil {
		log.Fatal(err)
	}
	if _, err = client.PublishVersion(ctx, agent.ID, ledgerclient.AnyVersion, ledgerclient.Version{Config: json.RawMessage(`{"temperature":0.2}`)}); err != nil {
		log.Fatal(err)
	}
	for version, err := range client.Versions(ctx, agent.ID) {
		fmt.Println(version.Version, version.Pricing.PerExecution, err)
	}
	for agent, err := range client.Agents(ctx, ledger.AgentFilter{Category: "research"}) {
		fmt.Println(agent.Slug, err)
	}
	agent, err = client.Agent(ctx, "summarizer")
	fmt.Println(agent.Name, err)
}

// A dashboard shows how an agent does and how a user uses agents, and when their credits run out.
func ExampleClient_AgentStatistics() {
	ctx, client := context.Background(), connect()
	agent, err := client.AgentStatistics(ctx, agentID)
	fmt.Println(agent.Executions, agent.SuccessRate, agent.AvgRating, err)
	for use, err := range client.Statistics(ctx, userID) {
		fmt.Println(use.Agent, use.AvgExecutions, use.PreferredTimeOfDay, err)
	}
	user, err := client.UserForecast(ctx, userID, 7*24*time.Hour)
	fmt.Println(user.Burn.PerDay, user.RunsOutAt, err)
	forecast, err := client.AgentForecast(ctx, agentID, 7*24*time.Hour)
	fmt.Println(forecast.Users, forecast.RunsOutAt, err)
}
