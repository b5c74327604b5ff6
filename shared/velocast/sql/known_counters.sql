-- How many counters are known, whether they still count or not.
SELECT COUNT(*) AS known
FROM {counters}
