// Command ledger measures the ledger against pgbench's TPC-B on the same Postgres cluster: runs authorized per second, runs
// authorized and captured per second, and the same for one user alone. It measures the functions in the database, which
// pgbench calls as it does TPC-B, and the HTTP API. All take turns within each round, and figures are ratios of a round, for
// a machine's disk is not the same from minute to minute.
//
//	make bench-ledger
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"
	"time"
)

// settings are what the flags say.
type settings struct {
	program  string
	rounds   int
	lasts    time.Duration
	clients  int
	users    int
	scale    int
	maxConns int
	sql      bool
	http     bool
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx); err != nil {
		fmt.Fprintln(os.Stderr, "ledger:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) (err error) {
	var s settings
	flag.StringVar(&s.program, "agenttrail", "bin/agenttrail", "the program to measure")
	flag.IntVar(&s.rounds, "rounds", 5, "rounds, in each of which everything has its turn")
	flag.DurationVar(&s.lasts, "for", 15*time.Second, "how long each turn lasts")
	flag.IntVar(&s.clients, "clients", 16, "requests under way at a time, and connections of pgbench")
	flag.IntVar(&s.users, "users", 1000, "users among whom the runs are spread")
	flag.IntVar(&s.scale, "scale", 50, "scale of pgbench's tables")
	flag.IntVar(&s.maxConns, "connections", 16, "connections of the ledger to Postgres")
	flag.BoolVar(&s.sql, "sql", true, "measure the functions in the database")
	flag.BoolVar(&s.http, "http", true, "measure the HTTP API")
	flag.Parse()
	if s.rounds < 1 || s.clients < 1 || s.users < 1 || s.lasts < time.Second {
		return errors.New("-rounds, -clients and -users must be at least 1, -for at least 1s")
	}
	if s.program, err = filepath.Abs(s.program); err != nil {
		return err
	}
	dir, err := os.MkdirTemp("", "agenttrail-bench-ledger-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	fmt.Println("starting Postgres and the ledger, filling in users and pgbench's tables ...")
	c, err := startCluster(ctx, dir)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, c.stop()) }()
	if err := c.prepareTPCB(ctx, s.scale); err != nil {
		return err
	}
	var sc scripts
	if s.sql {
		if sc, err = prepareSQL(ctx, s, c, dir); err != nil {
			return err
		}
	}
	var l *ledger
	if s.http {
		if l, err = startLedger(ctx, s, c, dir); err != nil {
			return err
		}
		defer func() { err = errors.Join(err, l.stop()) }()
		if err := l.prepare(ctx, s); err != nil {
			return err
		}
	}
	var all []round
	for i := range s.rounds {
		r, err := measure(ctx, s, c, sc, l)
		if err != nil {
			return err
		}
		r.print(s, i+1)
		all = append(all, r)
	}
	report(s, all)
	return nil
}
