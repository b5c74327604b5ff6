-- Health of each counter that sent an hour in the year before as_of: newest and last usable hour, days silent, share of usable
-- hours in 28 days, the open fault and the accuracy of its forecasts in 28 days.
--   Days silent and both periods end at the newest hour of the city, so that a late portal makes no counter silent.
--   The open fault is the oldest of those that the newest ingestion found; the forecast of an hour is the newest from the start of a day.
--   r2 is null where the counts hardly vary; usable_share counts from the first hour of a younger counter. Under a closure no
--   counter is silent.
WITH hours AS (
  SELECT counter_id, counted_at, bike_count, quality
  FROM {counts}
  WHERE counted_at >= TIMESTAMP_SUB(@as_of, INTERVAL 366 DAY) AND counted_at < @as_of
),
newest AS (
  SELECT MAX(counted_at) AS city_at FROM hours
),
seen AS (
  SELECT
    hours.counter_id,
    MIN(hours.counted_at) AS first_at,
    MAX(hours.counted_at) AS newest_at,
    MAX(IF(hours.quality IS NULL, hours.counted_at, NULL)) AS last_counted_at,
    MAX(IF(hours.quality IS NULL OR hours.quality = 'closed', hours.counted_at, NULL)) AS last_heard_at,
    MAX(newest.city_at) AS city_at,
    COUNTIF(
      hours.quality IS NULL AND hours.counted_at > TIMESTAMP_SUB(newest.city_at, INTERVAL 28 DAY)
    ) AS usable_hours
  FROM hours
  CROSS JOIN newest
  GROUP BY hours.counter_id
),
ingestion AS (
  SELECT details
  FROM {logs}
  WHERE timestamp >= TIMESTAMP_SUB(@as_of, INTERVAL 60 DAY)
    AND timestamp < @as_of
    AND event_type = 'INGESTION'
    AND JSON_QUERY(details, '$.quality.faults') IS NOT NULL
  ORDER BY timestamp DESC, event_id
  LIMIT 1
),
faults AS (
  SELECT
    JSON_VALUE(fault, '$.counter_id') AS counter_id,
    JSON_VALUE(fault, '$.kind') AS fault_kind,
    SAFE_CAST(JSON_VALUE(fault, '$.since') AS TIMESTAMP) AS fault_since,
    JSON_VALUE(fault, '$.evidence') AS fault_evidence
  FROM ingestion
  CROSS JOIN UNNEST(JSON_QUERY_ARRAY(details, '$.quality.faults')) AS fault
  WHERE JSON_VALUE(fault, '$.open') = 'true'
  QUALIFY ROW_NUMBER() OVER (PARTITION BY counter_id ORDER BY fault_since, fault_kind) = 1
),
in_force AS (
  SELECT counter_id, target_at, predicted_count
  FROM {forecasts}
  WHERE target_at >= TIMESTAMP_SUB(@as_of, INTERVAL 60 DAY) AND target_at < @as_of AND predicted_at <= @as_of
    AND hours_known IS NULL
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY counter_id, target_at ORDER BY origin_at DESC, predicted_at DESC, model_version DESC
  ) = 1
),
pairs AS (
  SELECT
    hours.counter_id,
    CAST(hours.bike_count AS FLOAT64) AS counted,
    in_force.predicted_count - hours.bike_count AS error
  FROM hours
  CROSS JOIN newest
  JOIN in_force ON in_force.counter_id = hours.counter_id AND in_force.target_at = hours.counted_at
  WHERE hours.quality IS NULL AND hours.counted_at > TIMESTAMP_SUB(newest.city_at, INTERVAL 28 DAY)
),
accuracy AS (
  SELECT
    counter_id,
    COUNT(*) AS pairs,
    AVG(ABS(error)) AS mae,
    SAFE_DIVIDE(SUM(ABS(error)), SUM(counted)) AS wape,
    1 - SAFE_DIVIDE(SUM(error * error), NULLIF(SUM(counted * counted) - SUM(counted) * SUM(counted) / COUNT(*), 0)) AS r2
  FROM pairs
  GROUP BY counter_id
)
SELECT
  seen.counter_id,
  known.counter_name,
  seen.newest_at,
  seen.last_counted_at,
  TIMESTAMP_DIFF(seen.city_at, IFNULL(seen.last_heard_at, seen.first_at), HOUR) / 24 AS days_silent,
  seen.usable_hours / LEAST(28 * 24, TIMESTAMP_DIFF(seen.city_at, seen.first_at, HOUR) + 1) AS usable_share,
  faults.fault_kind,
  faults.fault_since,
  faults.fault_evidence,
  IFNULL(accuracy.pairs, 0) AS pairs,
  accuracy.mae,
  accuracy.wape,
  accuracy.r2
FROM seen
LEFT JOIN {counters} AS known ON known.counter_id = seen.counter_id
LEFT JOIN faults ON faults.counter_id = seen.counter_id
LEFT JOIN accuracy ON accuracy.counter_id = seen.counter_id
