-- The counts that a training freezes: those in [first_hour, until) as they are stored, but the hours in
-- [kept_from, kept_until) as `kept` has them.
SELECT counter_id, counted_at, bike_count, quality
FROM {counts}
WHERE counted_at >= @first_hour
  AND counted_at < @until
  AND (counted_at < @kept_from OR counted_at >= @kept_until)
UNION ALL
SELECT counter_id, counted_at, bike_count, quality
FROM {kept}
WHERE counted_at >= @kept_from
  AND counted_at < LEAST(@kept_until, @until)
