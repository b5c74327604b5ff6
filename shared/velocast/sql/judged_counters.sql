-- The counters with a stored hour in [since, until): how many they have, and their first and last one.
SELECT counter_id, COUNT(*) AS hours, MIN(counted_at) AS first_at, MAX(counted_at) AS last_at
FROM {counts}
WHERE counted_at >= @since AND counted_at < @until
GROUP BY counter_id
