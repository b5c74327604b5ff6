-- The newest hour counted (null when there is none) and the number of counters.
-- The lower bound only satisfies the required partition filter.
SELECT MAX(counted_at) AS newest, COUNT(DISTINCT counter_id) AS counters
FROM {counts}
WHERE counted_at > TIMESTAMP('2000-01-01')
