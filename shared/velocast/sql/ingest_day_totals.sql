-- What is stored of each day of [since, until): the hours of all counters and the sum of their counts.
SELECT DATE(counted_at, @zone) AS day, COUNT(*) AS hours, SUM(bike_count) AS bikes
FROM {counts}
WHERE counted_at >= @since AND counted_at < @until
GROUP BY day
ORDER BY day
