-- The newest stored hour before as_of; NULL without any.
SELECT MAX(counted_at) AS newest
FROM {counts}
WHERE counted_at < @as_of
