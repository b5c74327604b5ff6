-- How many counters have this id: 0 or 1.
SELECT COUNT(*) AS counters
FROM {counters}
WHERE counter_id = @counter_id
