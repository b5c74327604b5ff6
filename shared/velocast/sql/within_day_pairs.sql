-- Forecasts of each day's own hours from the start of that day, for hours in [first_hour, until): the last ones made up to
-- as_of, with their usable counts. One counter in keep_one_in is kept, the same ones as in drift_counts.sql.
SELECT
  in_force.counter_id,
  in_force.origin_at,
  in_force.lead_hours,
  in_force.predicted_count,
  in_force.lower,
  in_force.upper,
  CAST(counted.bike_count AS FLOAT64) AS bike_count
FROM (
  SELECT counter_id, target_at, origin_at, lead_hours, predicted_count, lower, upper
  FROM {forecasts}
  WHERE target_at >= @first_hour
    AND target_at < @until
    AND lead_day = 0
    AND hours_known IS NULL
    AND predicted_at <= @as_of
    AND MOD(ABS(MOD(FARM_FINGERPRINT(counter_id), 1000000007)), @keep_one_in) = 0
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY counter_id, target_at ORDER BY predicted_at DESC, model_version DESC
  ) = 1
) AS in_force
JOIN {counts} AS counted
  ON counted.counter_id = in_force.counter_id AND counted.counted_at = in_force.target_at
WHERE counted.counted_at >= @first_hour AND counted.counted_at < @until AND counted.quality IS NULL
