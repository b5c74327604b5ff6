-- The hours of [since, until) of the busiest counters since `busy_since`, `most` of them, and of the counters `always`.
WITH busiest AS (
  SELECT counter_id
  FROM {counts}
  WHERE counted_at >= @busy_since AND counted_at < @until AND quality IS NULL
  GROUP BY counter_id
  ORDER BY SUM(bike_count) DESC, counter_id
  LIMIT @most
)
SELECT counter_id, counted_at, bike_count, quality
FROM {counts}
WHERE counted_at >= @since
  AND counted_at < @until
  AND (counter_id IN (SELECT counter_id FROM busiest) OR counter_id IN UNNEST(@always))
