-- The UTC days of a range of which counts are stored.
SELECT DISTINCT DATE(counted_at) AS day
FROM {counts}
WHERE counted_at >= @since AND counted_at < @until
ORDER BY day
