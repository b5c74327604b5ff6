-- When the newest stored weather was known, of the hours from first_hour on; null when there is none.
SELECT MAX(issued_at) AS newest
FROM {weather}
WHERE valid_at >= @first_hour AND issued_at <= @as_of
