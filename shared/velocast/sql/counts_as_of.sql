-- The counts of [scan_from, scan_until) as they were known at known_at: an hour that was changed later has the count and
-- quality from before its first later change.
--
-- @known_at TIMESTAMP          instant, included
-- @later_hours BOOL            whether hours that were first learned later are returned, as they are now
-- @counter_ids ARRAY<STRING>   empty: all
WITH later AS (
  SELECT counter_id, counted_at, known_at, old_count, old_quality
  FROM {revisions}
  WHERE counted_at >= @scan_from AND counted_at < @scan_until AND learned_at > @known_at
  QUALIFY ROW_NUMBER() OVER (PARTITION BY counter_id, counted_at ORDER BY learned_at, known_at) = 1
)
SELECT
  counts.counter_id,
  counts.counted_at,
  IF(later.known_at <= @known_at, later.old_count, counts.bike_count) AS bike_count,
  IF(later.known_at <= @known_at, later.old_quality, counts.quality) AS quality,
  IF(later.known_at <= @known_at, later.known_at, counts.ingested_at) AS ingested_at
FROM {counts} AS counts
LEFT JOIN later ON later.counter_id = counts.counter_id AND later.counted_at = counts.counted_at
WHERE counts.counted_at >= @scan_from
  AND counts.counted_at < @scan_until
  AND (@later_hours OR COALESCE(later.known_at, counts.ingested_at) <= @known_at)
  AND (ARRAY_LENGTH(@counter_ids) = 0 OR counts.counter_id IN UNNEST(@counter_ids))
