-- The hours of [first_hour, until): how many are stored, how many of them are usable, of how many counters, and their bikes.
SELECT
  COUNT(*) AS hours,
  COUNTIF(quality IS NULL) AS usable,
  COUNT(DISTINCT IF(quality IS NULL, counter_id, NULL)) AS counters,
  IFNULL(SUM(IF(quality IS NULL, bike_count, 0)), 0) AS bikes
FROM {counts}
WHERE counted_at >= @first_hour AND counted_at < @until
