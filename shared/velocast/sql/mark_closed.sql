-- Rows of [look_from, until) whose mark `closed` is missing or wrong, with the right quality: `closed` in the hours of closures
-- that the city's file names, NULL where one no longer does. The three arrays have one element a counter and closure. A
-- closure outranks what detectors say; rows that the city or a person has judged are left alone.
WITH closure AS (
  SELECT counter_id, since, until
  FROM UNNEST(@closed_counters) AS counter_id WITH OFFSET AS position
  JOIN UNNEST(@closed_since) AS since WITH OFFSET AS since_position ON since_position = position
  JOIN UNNEST(@closed_until) AS until WITH OFFSET AS until_position ON until_position = position
),
recent AS (
  SELECT counter_id, counted_at, bike_count, quality, ingested_at
  FROM {counts}
  WHERE counted_at >= @look_from AND counted_at < @until
),
closed AS (
  SELECT DISTINCT recent.counter_id, recent.counted_at
  FROM recent
  JOIN closure
    ON closure.counter_id = recent.counter_id
    -- an hour that is closed in part is closed
    AND recent.counted_at > TIMESTAMP_SUB(closure.since, INTERVAL 1 HOUR)
    AND recent.counted_at < closure.until
)
SELECT
  recent.counter_id,
  recent.counted_at,
  recent.bike_count,
  recent.ingested_at,
  IF(closed.counter_id IS NULL, NULL, 'closed') AS quality
FROM recent
LEFT JOIN closed ON closed.counter_id = recent.counter_id AND closed.counted_at = recent.counted_at
LEFT JOIN {verdicts} AS verdict
  ON verdict.counter_id = recent.counter_id
  AND verdict.verdict IN ('accept', 'refuse')
  AND recent.counted_at >= verdict.valid_from
  AND recent.counted_at < verdict.valid_until
WHERE verdict.counter_id IS NULL
  AND (
    (closed.counter_id IS NULL AND recent.quality = 'closed')
    OR (
      closed.counter_id IS NOT NULL
      AND IFNULL(recent.quality, '') NOT IN ('closed', 'refused', 'flagged', 'incomplete', 'clock_change')
    )
  )
