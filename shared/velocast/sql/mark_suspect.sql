-- Rows of [look_from, until) that are or were suspect, with the right quality: `suspect`, or NULL when it is lifted.
--   suspect: more than spike_factor times the counter's credible level, and at least spike_margin more than it. The level
--     is learned from the counter: its highest hour of the day, which only one day in fifty exceeds. Days without any bike
--     are left out, and fewer than spike_days days say nothing. A level that lasts raises its own limit, so a count that
--     turns out to be usual is released.
--   The neighbours speak for it: where a tenth of the other counters is above its own level in the same hour, the limit
--     rises by as much (a holiday, a strike, the first warm Sunday of a young counter).
-- Hours that a person has judged, and rows with another quality, are left alone.
WITH known AS (
  SELECT
    counts.counter_id, counts.counted_at, counts.bike_count, counts.quality, counts.ingested_at,
    DATE(counts.counted_at, @zone) AS local_date
  FROM {counts} AS counts
  WHERE counts.counted_at >= @look_from
    AND counts.counted_at < @until
    AND (counts.quality IS NULL OR counts.quality NOT IN ('refused', 'flagged'))
),
daily AS (
  SELECT counter_id, local_date, MAX(bike_count) AS highest
  FROM known
  GROUP BY counter_id, local_date
  HAVING MAX(bike_count) > 0
),
levels AS (
  SELECT
    counter_id,
    GREATEST(1, ARRAY_AGG(highest ORDER BY highest)[
      SAFE_OFFSET(CAST(FLOOR(0.98 * (COUNT(*) - 1)) AS INT64))
    ]) AS level
  FROM daily
  GROUP BY counter_id
  HAVING COUNT(*) >= @spike_days
),
high AS (
  SELECT known.counter_id, known.counted_at, known.bike_count / levels.level AS share
  FROM known
  JOIN levels ON levels.counter_id = known.counter_id
  WHERE known.bike_count > @spike_factor * levels.level AND known.bike_count >= levels.level + @spike_margin
),
surges AS (
  SELECT
    high.counter_id,
    high.counted_at,
    ARRAY_AGG(other.bike_count / levels.level ORDER BY other.bike_count / levels.level)[
      SAFE_OFFSET(CAST(FLOOR(0.9 * (COUNT(*) - 1)) AS INT64))
    ] AS surge
  FROM high
  JOIN known AS other ON other.counted_at = high.counted_at
  JOIN levels ON levels.counter_id = other.counter_id
  WHERE other.counter_id != high.counter_id
  GROUP BY high.counter_id, high.counted_at
),
suspects AS (
  SELECT high.counter_id, high.counted_at
  FROM high
  LEFT JOIN surges ON surges.counter_id = high.counter_id AND surges.counted_at = high.counted_at
  WHERE high.share > @spike_factor * GREATEST(1, IFNULL(surges.surge, 1))
)
SELECT
  known.counter_id,
  known.counted_at,
  known.bike_count,
  known.ingested_at,
  IF(suspects.counter_id IS NULL, NULL, 'suspect') AS quality
FROM known
LEFT JOIN suspects ON suspects.counter_id = known.counter_id AND suspects.counted_at = known.counted_at
LEFT JOIN {verdicts} AS verdict
  ON verdict.counter_id = known.counter_id
  AND verdict.verdict IN ('accept', 'refuse')
  AND known.counted_at >= verdict.valid_from
  AND known.counted_at < verdict.valid_until
WHERE verdict.counter_id IS NULL
  AND (
    (suspects.counter_id IS NULL AND known.quality = 'suspect')
    OR (suspects.counter_id IS NOT NULL AND known.quality IS NULL)
  )
