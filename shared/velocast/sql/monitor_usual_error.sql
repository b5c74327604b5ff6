-- The error of all forecasts of the hours in [first_hour, until) that were in force, over usable counts, for lead days below
-- lead_days: pairs, counters, local days, and the sums of absolute errors and of counts.
SELECT
  COUNT(*) AS pairs,
  COUNT(DISTINCT in_force.counter_id) AS counters,
  COUNT(DISTINCT DATE(in_force.target_at, @zone)) AS days,
  SUM(ABS(in_force.predicted_count - counted.bike_count)) AS errors,
  SUM(counted.bike_count) AS bikes
FROM (
  SELECT counter_id, target_at, predicted_count
  FROM {forecasts}
  WHERE target_at >= @first_hour
    AND target_at < @until
    AND lead_day < @lead_days
    AND predicted_at <= @as_of
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY counter_id, target_at, origin_at ORDER BY predicted_at DESC, model_version DESC
  ) = 1
) AS in_force
JOIN {counts} AS counted
  ON counted.counter_id = in_force.counter_id AND counted.counted_at = in_force.target_at
WHERE counted.counted_at >= @first_hour AND counted.counted_at < @until AND counted.quality IS NULL
