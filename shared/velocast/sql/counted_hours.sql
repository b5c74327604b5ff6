-- The counters of a table of counts, such as a frozen one: their hours in [first_hour, until), how many of them are
-- usable, and the first and the last usable one.
SELECT
  counter_id,
  COUNT(*) AS hours,
  COUNTIF(quality IS NULL) AS usable,
  MIN(IF(quality IS NULL, counted_at, NULL)) AS first_at,
  MAX(IF(quality IS NULL, counted_at, NULL)) AS last_at
FROM {counts}
WHERE counted_at >= @first_hour AND counted_at < @until
GROUP BY counter_id
