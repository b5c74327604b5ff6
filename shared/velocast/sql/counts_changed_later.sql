-- How many hours of [scan_from, scan_until) had another count or quality at known_at than they have now, and how many were
-- first learned later.
WITH later AS (
  SELECT counter_id, counted_at, known_at
  FROM {revisions}
  WHERE counted_at >= @scan_from AND counted_at < @scan_until AND learned_at > @known_at
  QUALIFY ROW_NUMBER() OVER (PARTITION BY counter_id, counted_at ORDER BY learned_at, known_at) = 1
)
SELECT
  COUNTIF(later.known_at <= @known_at) AS changed_later,
  COUNTIF(COALESCE(later.known_at, counts.ingested_at) > @known_at) AS learned_later
FROM {counts} AS counts
LEFT JOIN later ON later.counter_id = counts.counter_id AND later.counted_at = counts.counted_at
WHERE counts.counted_at >= @scan_from
  AND counts.counted_at < @scan_until
  AND (ARRAY_LENGTH(@counter_ids) = 0 OR counts.counter_id IN UNNEST(@counter_ids))
