-- The oldest stored hour in [first_hour, as_of); NULL without any.
SELECT MIN(counted_at) AS oldest
FROM {counts}
WHERE counted_at >= @first_hour AND counted_at < @as_of
