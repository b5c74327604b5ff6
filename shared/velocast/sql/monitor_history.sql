-- The usable counts in [first_hour, until): number of local days with any count, oldest and newest hour, and number of
-- counters with a count since recent_hour, without those that others continue (ended), which get no forecast.
SELECT
  COUNT(DISTINCT DATE(counted_at, @zone)) AS days,
  MIN(counted_at) AS first_at,
  MAX(counted_at) AS newest_at,
  COUNT(DISTINCT IF(counted_at >= @recent_hour AND counter_id NOT IN UNNEST(@ended), counter_id, NULL)) AS recent_counters
FROM {counts}
WHERE counted_at >= @first_hour AND counted_at < @until AND quality IS NULL
