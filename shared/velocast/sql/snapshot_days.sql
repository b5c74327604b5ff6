-- The bikes of each local day and the number of its hours with a usable count, of every counter in [first_hour, until).
SELECT
  counter_id,
  DATE(counted_at, @zone) AS local_date,
  SUM(bike_count) AS bikes,
  COUNT(*) AS hours
FROM {counts}
WHERE counted_at >= @first_hour AND counted_at < @until AND quality IS NULL
GROUP BY counter_id, local_date
