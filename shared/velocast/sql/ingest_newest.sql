-- The newest stored hour before as_of; null when there is none.
SELECT MAX(counted_at) AS newest
FROM {counts}
WHERE counted_at < @as_of
