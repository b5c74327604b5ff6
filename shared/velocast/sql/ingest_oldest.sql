-- The oldest stored hour from first_hour to before as_of; null when there is none.
SELECT MIN(counted_at) AS oldest
FROM {counts}
WHERE counted_at >= @first_hour AND counted_at < @as_of
