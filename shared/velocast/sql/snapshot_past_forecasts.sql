-- The forecasts of the hours in [first_hour, until): for each hour, the last one made up to as_of from
-- the newest origin that is the start of a day.
SELECT counter_id, target_at, predicted_count, lower, upper
FROM {forecasts}
WHERE target_at >= @first_hour AND target_at < @until AND predicted_at <= @as_of
  AND hours_known IS NULL
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY counter_id, target_at ORDER BY origin_at DESC, predicted_at DESC, model_version DESC
) = 1
