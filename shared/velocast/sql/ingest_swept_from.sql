-- The first hour of [since, until) that was stored or corrected at `as_of` or later; null where none was.
SELECT MIN(counted_at) AS first_at
FROM {counts}
WHERE counted_at >= @since AND counted_at < @until AND ingested_at >= @as_of
