-- The hours of [since, until) of the @most busiest counters of @busy_since to `until`.
WITH busiest AS (
  SELECT counter_id
  FROM {counts}
  WHERE counted_at >= @busy_since AND counted_at < @until AND quality IS NULL
  GROUP BY counter_id
  ORDER BY SUM(bike_count) DESC, counter_id
  LIMIT @most
)
SELECT c.counter_id, c.counted_at, c.bike_count, c.quality
FROM {counts} AS c
JOIN busiest USING (counter_id)
WHERE c.counted_at >= @since AND c.counted_at < @until
