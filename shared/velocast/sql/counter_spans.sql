-- First and last usable hour of each counter in [first_hour, until).
SELECT counter_id, MIN(counted_at) AS first_at, MAX(counted_at) AS last_at
FROM {counts}
WHERE counted_at >= @first_hour AND counted_at < @until AND quality IS NULL
GROUP BY counter_id
