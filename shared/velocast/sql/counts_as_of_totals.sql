-- The counts that counts_as_of.sql returns, in figures.
SELECT
  COUNT(*) AS hours,
  COUNT(DISTINCT counter_id) AS counters,
  COUNTIF(quality IS NOT NULL) AS unusable,
  SUM(bike_count) AS bikes,
  MIN(counted_at) AS first_hour,
  MAX(counted_at) AS last_hour
FROM (
{counts_as_of.sql}
)
