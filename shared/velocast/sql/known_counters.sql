-- The number of known counters, whether they still count or not.
SELECT COUNT(*) AS known
FROM {counters}
