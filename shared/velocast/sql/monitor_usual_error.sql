-- The error of the forecasts in force (drift_errors.sql, whose parameters it has) of the hours in [first_hour, until):
-- pairs, counters, days of the local clock, and the sums of absolute errors and of counts, in bikes.
SELECT
  COUNT(*) AS pairs,
  COUNT(DISTINCT counter_id) AS counters,
  COUNT(DISTINCT DATE(target_at, @zone)) AS days,
  SUM(ABS(predicted_count - bike_count)) AS errors,
  SUM(bike_count) AS bikes
FROM (
{drift_errors.sql}
)
