-- The number of stored forecasts of a version from first_hour, the start of a day, to the end of its horizon.
SELECT COUNT(*) AS forecasts
FROM {forecasts}
WHERE target_at >= @first_hour
  AND target_at < @until
  AND origin_at = @first_hour
  AND model_version = @version
  AND hours_known IS NULL
