-- Errors of the forecasts from the start of a day of the last 60 days, by day, lead day and model version; usable counts only.
SELECT
  DATE(forecast.target_at) AS target_date,
  forecast.lead_day,
  forecast.model_kind,
  forecast.model_version,
  COUNT(*) AS pairs,
  AVG(ABS(forecast.predicted_count - counted.bike_count)) AS mae,
  SQRT(AVG(POW(forecast.predicted_count - counted.bike_count, 2))) AS rmse,
  AVG(forecast.predicted_count - counted.bike_count) AS bias,
  SAFE_DIVIDE(SUM(ABS(forecast.predicted_count - counted.bike_count)), SUM(counted.bike_count)) AS wape,
  AVG(IF(counted.bike_count BETWEEN forecast.lower AND forecast.upper, 1, 0)) AS interval_coverage
FROM `${project}.bike_traffic_predictions.forecasts` AS forecast
JOIN `${project}.bike_traffic_raw.counts` AS counted
  ON counted.counter_id = forecast.counter_id AND counted.counted_at = forecast.target_at
WHERE forecast.target_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 60 DAY)
  AND counted.counted_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 60 DAY)
  AND counted.quality IS NULL
  AND forecast.hours_known IS NULL
GROUP BY target_date, lead_day, model_kind, model_version
