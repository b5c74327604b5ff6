-- When the newest stored weather of the hours from first_hour on was issued, up to as_of; NULL without any.
SELECT MAX(issued_at) AS newest
FROM {weather}
WHERE valid_at >= @first_hour AND issued_at <= @as_of
