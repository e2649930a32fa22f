-- Why: without a word on it, a materialized view works with the rights of who inserts. A collector would have to be let read
-- runs, and write counts, to store a run. Now views work with the rights of who makes them, by these statements the user of
-- the migrations, who must stay as long as they do.
-- Locks: none; only what is known of the views changes.

ALTER TABLE ${DATABASE}.AgentMetricsHourlyView ${ON_CLUSTER} MODIFY SQL SECURITY DEFINER DEFINER = CURRENT_USER;

ALTER TABLE ${DATABASE}.AgentMetricsDailyView ${ON_CLUSTER} MODIFY SQL SECURITY DEFINER DEFINER = CURRENT_USER;

ALTER TABLE ${DATABASE}.UserAgentUsageDailyView ${ON_CLUSTER} MODIFY SQL SECURITY DEFINER DEFINER = CURRENT_USER;
