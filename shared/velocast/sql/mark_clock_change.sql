-- Rows of [mark_from, until) whose mark `clock_change` is wrong, with the right quality: only one of the two hours that the
-- local clock repeats is stored (repeated: the first of each pair), so it holds both. Rows with another quality, and hours
-- that a person has judged, are left alone.
WITH repeated AS (
  SELECT hour
  FROM UNNEST(@repeated) AS hour
),
recent AS (
  SELECT counter_id, counted_at, bike_count, quality, ingested_at
  FROM {counts}
  WHERE counted_at >= @mark_from AND counted_at < @until
),
alone AS (
  SELECT recent.counter_id, MIN(recent.counted_at) AS counted_at
  FROM recent
  JOIN repeated
    ON recent.counted_at >= repeated.hour AND recent.counted_at < TIMESTAMP_ADD(repeated.hour, INTERVAL 2 HOUR)
  GROUP BY recent.counter_id, repeated.hour
  HAVING COUNT(*) = 1
)
SELECT
  recent.counter_id,
  recent.counted_at,
  recent.bike_count,
  recent.ingested_at,
  IF(alone.counter_id IS NULL, NULL, 'clock_change') AS quality
FROM recent
LEFT JOIN alone ON alone.counter_id = recent.counter_id AND alone.counted_at = recent.counted_at
LEFT JOIN {verdicts} AS verdict
  ON verdict.counter_id = recent.counter_id
  AND verdict.verdict IN ('accept', 'refuse')
  AND recent.counted_at >= verdict.valid_from
  AND recent.counted_at < verdict.valid_until
WHERE verdict.counter_id IS NULL
  AND (
    (alone.counter_id IS NULL AND recent.quality = 'clock_change')
    OR (alone.counter_id IS NOT NULL AND recent.quality IS NULL)
  )
