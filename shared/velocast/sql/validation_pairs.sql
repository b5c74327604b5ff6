-- One version's forecasts from the start of a day of the hours in [first_hour, until), with their usable counts and those of 168 hours earlier.
-- Each target once per origin (guaranteed by the key), for lead days below lead_days, without targets before
-- learned_until, which the model may have been trained on. Of the hours, one in keep_one_in is kept: the same as
-- features.sql keeps.
SELECT
  forecast.counter_id,
  forecast.target_at,
  forecast.origin_at,
  forecast.lead_day,
  forecast.predicted_count,
  forecast.lower,
  forecast.upper,
  CAST(counted.bike_count AS FLOAT64) AS bike_count,
  CAST(week_ago.bike_count AS FLOAT64) AS lag_168h
FROM {forecasts} AS forecast
JOIN {counts} AS counted
  ON counted.counter_id = forecast.counter_id AND counted.counted_at = forecast.target_at
LEFT JOIN (
  SELECT counter_id, TIMESTAMP_ADD(counted_at, INTERVAL 168 HOUR) AS target_at, bike_count
  FROM {counts}
  WHERE counted_at >= @first_lag AND counted_at < @until AND quality IS NULL
) AS week_ago
  ON week_ago.counter_id = forecast.counter_id AND week_ago.target_at = forecast.target_at
WHERE forecast.target_at >= @first_hour
  AND forecast.target_at < @until
  AND forecast.target_at >= @learned_until
  AND forecast.model_version = @version
  AND forecast.lead_day < @lead_days
  AND forecast.hours_known IS NULL
  AND counted.counted_at >= @first_hour
  AND counted.counted_at < @until
  AND counted.quality IS NULL
  AND MOD(
    DIV(
      DIV(
        MOD(
          DIV(UNIX_SECONDS(forecast.target_at), 3600) * 1103515245
            + ABS(MOD(FARM_FINGERPRINT(forecast.counter_id), 1000000007)),
          2147483648
        ),
        65536
      ),
      @lead_days
    ),
    @keep_one_in
  ) = 0
