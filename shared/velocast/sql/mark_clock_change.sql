-- Rows of [mark_from, until) whose stored quality is wrong, with the right one.
--   outage: in a run of at least outage_hours zeros, on a counter whose usual mean is above usual_mean. The usual mean
--     excludes such runs. A run already marked as an outage remains one, even when no good hours are left in the window.
--   clock_change: only one of the two hours that the local clock repeats is stored (repeated: the first of each pair).
-- Rows from look_from on are read, so that runs are seen from their start. Rows with another quality, and hours that a
-- person has judged, are not changed; what is not credible says nothing of what is usual.
WITH recent AS (
  SELECT
    counter_id, counted_at, bike_count, quality, ingested_at,
    SUM(IF(bike_count > 0, 1, 0)) OVER (PARTITION BY counter_id ORDER BY counted_at) AS island
  FROM {counts}
  WHERE counted_at >= @look_from AND counted_at < @until
),
zeros AS (
  SELECT
    counter_id, island, COUNT(*) AS hours, COUNTIF(quality = 'outage') > 0 AS known
  FROM recent
  WHERE bike_count = 0
  GROUP BY counter_id, island
  HAVING COUNT(*) >= @outage_hours
),
silent AS (
  SELECT counter_id, SUM(hours) AS hours
  FROM zeros
  GROUP BY counter_id
),
usual AS (
  SELECT
    recent.counter_id,
    SAFE_DIVIDE(SUM(bike_count), COUNT(*) - IFNULL(MAX(silent.hours), 0)) AS usual_mean
  FROM recent
  LEFT JOIN silent ON silent.counter_id = recent.counter_id
  WHERE recent.quality IS NULL OR recent.quality NOT IN ('suspect', 'refused', 'flagged')
  GROUP BY recent.counter_id
),
outages AS (
  SELECT zeros.counter_id, zeros.island, zeros.known
  FROM zeros
  JOIN usual ON usual.counter_id = zeros.counter_id
  WHERE zeros.known OR usual.usual_mean > @usual_mean
),
repeated AS (
  -- no effect in BigQuery; needed by engines that read an array of timestamps as an array of strings
  SELECT CAST(hour AS TIMESTAMP) AS hour
  FROM UNNEST(@repeated) AS hour
),
alone AS (
  SELECT recent.counter_id, MIN(recent.counted_at) AS counted_at
  FROM recent
  JOIN repeated
    ON recent.counted_at >= repeated.hour AND recent.counted_at < TIMESTAMP_ADD(repeated.hour, INTERVAL 2 HOUR)
  GROUP BY recent.counter_id, repeated.hour
  HAVING COUNT(*) = 1
),
judged AS (
  SELECT
    recent.counter_id, recent.counted_at, recent.bike_count, recent.ingested_at, recent.quality AS stored,
    CASE
      WHEN outages.counter_id IS NOT NULL AND recent.bike_count = 0 THEN 'outage'
      WHEN alone.counter_id IS NOT NULL THEN 'clock_change'
    END AS quality,
    IFNULL(NOT outages.known, FALSE) AS new_outage
  FROM recent
  LEFT JOIN outages ON outages.counter_id = recent.counter_id AND outages.island = recent.island
  LEFT JOIN alone ON alone.counter_id = recent.counter_id AND alone.counted_at = recent.counted_at
)
SELECT
  judged.counter_id, judged.counted_at, judged.bike_count, judged.ingested_at, judged.quality,
  judged.new_outage AND judged.quality = 'outage' AS new_outage
FROM judged
LEFT JOIN {verdicts} AS verdict
  ON verdict.counter_id = judged.counter_id
  AND judged.counted_at >= verdict.valid_from
  AND judged.counted_at < verdict.valid_until
WHERE judged.counted_at >= @mark_from
  AND verdict.counter_id IS NULL
  AND judged.stored IS DISTINCT FROM judged.quality
  AND (judged.stored IS NULL OR judged.stored IN ('outage', 'clock_change'))
