-- The bikes of each local day and the number of its hours with a usable count, of every counter in [first_hour, until);
-- and beside them the bikes and the number of the hours that were only estimated.
WITH counted AS (
  SELECT counter_id, counted_at, bike_count
  FROM {counts}
  WHERE counted_at >= @first_hour AND counted_at < @until AND quality IS NULL
),
estimated AS (
  SELECT e.counter_id, e.counted_at, e.estimated_count
  FROM {count_estimates} AS e
  LEFT JOIN counted AS c ON c.counter_id = e.counter_id AND c.counted_at = e.counted_at
  -- a count that came after the estimate was made outranks it
  WHERE e.counted_at >= @first_hour AND e.counted_at < @until AND c.counter_id IS NULL
),
hours AS (
  SELECT counter_id, counted_at, bike_count, 1 AS is_counted, 0.0 AS estimated_count FROM counted
  UNION ALL
  SELECT counter_id, counted_at, 0 AS bike_count, 0 AS is_counted, estimated_count FROM estimated
)
SELECT
  counter_id,
  DATE(counted_at, @zone) AS local_date,
  SUM(bike_count) AS bikes,
  SUM(is_counted) AS hours,
  SUM(estimated_count) AS estimated_bikes,
  COUNT(*) - SUM(is_counted) AS estimated_hours
FROM hours
GROUP BY counter_id, local_date
