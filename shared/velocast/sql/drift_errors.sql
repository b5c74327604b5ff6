-- Forecasts from the start of a day of the hours in [first_hour, until) with their usable counts, for lead days below lead_days.
-- Of several forecasts from one origin only those in force: the last that were made up to as_of. Of the counters, one in
-- keep_one_in is kept: the same as drift_counts.sql keeps.
SELECT in_force.counter_id, in_force.target_at, in_force.predicted_count, CAST(counted.bike_count AS FLOAT64) AS bike_count
FROM (
  SELECT counter_id, target_at, predicted_count
  FROM {forecasts}
  WHERE target_at >= @first_hour
    AND target_at < @until
    AND lead_day < @lead_days
    AND predicted_at <= @as_of
    AND hours_known IS NULL
    AND MOD(ABS(MOD(FARM_FINGERPRINT(counter_id), 1000000007)), @keep_one_in) = 0
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY counter_id, target_at, origin_at ORDER BY predicted_at DESC, model_version DESC
  ) = 1
) AS in_force
JOIN {counts} AS counted
  ON counted.counter_id = in_force.counter_id AND counted.counted_at = in_force.target_at
WHERE counted.counted_at >= @first_hour AND counted.counted_at < @until AND counted.quality IS NULL
