-- Each counter's newest hour, and its hours of the last 7 days: all, in an outage, and usable.
SELECT
  counter.counter_id,
  counter.counter_name,
  MAX(counted.counted_at) AS newest_at,
  TIMESTAMP_DIFF(CURRENT_TIMESTAMP(), MAX(counted.counted_at), HOUR) AS age_hours,
  COUNT(counted.counted_at) AS hours,
  COUNTIF(counted.quality = 'outage') AS outage_hours,
  COUNTIF(counted.quality IS NULL AND counted.counted_at IS NOT NULL) AS usable_hours
FROM `${project}.bike_traffic_raw.counters` AS counter
LEFT JOIN (
  SELECT counter_id, counted_at, quality
  FROM `${project}.bike_traffic_raw.counts`
  WHERE counted_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 7 DAY)
) AS counted ON counted.counter_id = counter.counter_id
GROUP BY counter_id, counter_name
