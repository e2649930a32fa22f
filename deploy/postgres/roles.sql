-- The roles of a Postgres for AgentTrail, each with no more rights than it needs. Run it once as a superuser, in the
-- database that is to hold the ledger:
--
--   createdb agenttrail
--   MIGRATOR_PASSWORD=… LEDGER_PASSWORD=… READER_PASSWORD=… psql --dbname agenttrail --file roles.sql
--
-- Then, before each release, as the migrator, which owns the tables and so may grant:
--
--   agenttrail migrate postgres --ledger-role agenttrail_ledger --reader-role agenttrail_reader
--
-- Running it again sets the passwords anew.

\set ON_ERROR_STOP on
\getenv migrator_password MIGRATOR_PASSWORD
\getenv ledger_password LEDGER_PASSWORD
\getenv reader_password READER_PASSWORD

DO $$
DECLARE
    name text;
BEGIN
    FOREACH name IN ARRAY ARRAY['agenttrail_migrator', 'agenttrail_ledger', 'agenttrail_reader'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOSUPERUSER NOCREATEDB NOCREATEROLE NOREPLICATION NOBYPASSRLS', name);
        END IF;
    END LOOP;
END $$;

ALTER ROLE agenttrail_migrator PASSWORD :'migrator_password';
ALTER ROLE agenttrail_ledger PASSWORD :'ledger_password';
ALTER ROLE agenttrail_reader PASSWORD :'reader_password';

-- A dashboard cannot write, and cannot hold up the service for long.
ALTER ROLE agenttrail_reader SET default_transaction_read_only = on;
ALTER ROLE agenttrail_reader SET statement_timeout = '30s';
ALTER ROLE agenttrail_reader CONNECTION LIMIT 20;

-- Only these may connect; only the migrator makes schemas, and nobody else tables in public.
SELECT format('REVOKE ALL ON DATABASE %I FROM PUBLIC', current_database()) \gexec
SELECT format('GRANT CONNECT ON DATABASE %I TO agenttrail_migrator, agenttrail_ledger, agenttrail_reader', current_database()) \gexec
SELECT format('GRANT CREATE ON DATABASE %I TO agenttrail_migrator', current_database()) \gexec
REVOKE CREATE ON SCHEMA public FROM PUBLIC;
