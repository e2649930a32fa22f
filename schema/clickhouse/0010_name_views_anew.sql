-- Why: what a block adds to a view's table is told from repetitions by its token and the view's name. ALTER of a view makes
-- ClickHouse (26.7) take the view's UUID instead, until the server is started anew. A block that was half stored before that
-- start, and is sent again after it, was counted twice. RENAME makes it take the name again, so each view is renamed there
-- and back. Every migration that alters a view must do this after it.
-- Locks: none; views work under both names.

RENAME TABLE IF EXISTS ${DATABASE}.AgentMetricsHourlyView TO ${DATABASE}.AgentMetricsHourlyViewRenamed ${ON_CLUSTER};

RENAME TABLE IF EXISTS ${DATABASE}.AgentMetricsHourlyViewRenamed TO ${DATABASE}.AgentMetricsHourlyView ${ON_CLUSTER};

RENAME TABLE IF EXISTS ${DATABASE}.AgentMetricsDailyView TO ${DATABASE}.AgentMetricsDailyViewRenamed ${ON_CLUSTER};

RENAME TABLE IF EXISTS ${DATABASE}.AgentMetricsDailyViewRenamed TO ${DATABASE}.AgentMetricsDailyView ${ON_CLUSTER};

RENAME TABLE IF EXISTS ${DATABASE}.UserAgentUsageDailyView TO ${DATABASE}.UserAgentUsageDailyViewRenamed ${ON_CLUSTER};

RENAME TABLE IF EXISTS ${DATABASE}.UserAgentUsageDailyViewRenamed TO ${DATABASE}.UserAgentUsageDailyView ${ON_CLUSTER};
