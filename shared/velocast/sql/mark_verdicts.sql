-- Rows of [mark_from, until) whose stored quality contradicts a person's verdict, with the right one: NULL where accepted,
-- `refused` where refused. Of several verdicts about an hour the newest holds.
WITH decided AS (
  SELECT
    counts.counter_id, counts.counted_at, counts.bike_count, counts.ingested_at, counts.quality AS stored,
    IF(verdict.verdict = 'refuse', 'refused', NULL) AS quality
  FROM {counts} AS counts
  JOIN {verdicts} AS verdict
    ON verdict.counter_id = counts.counter_id
    AND counts.counted_at >= verdict.valid_from
    AND counts.counted_at < verdict.valid_until
  WHERE verdict.verdict IN ('accept', 'refuse')
    AND counts.counted_at >= @mark_from AND counts.counted_at < @until
  QUALIFY ROW_NUMBER() OVER (
    PARTITION BY counts.counter_id, counts.counted_at
    ORDER BY verdict.given_at DESC, verdict.valid_from DESC, verdict.valid_until
  ) = 1
)
SELECT counter_id, counted_at, bike_count, ingested_at, quality
FROM decided
WHERE stored IS DISTINCT FROM quality
