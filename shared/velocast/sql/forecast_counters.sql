-- Every counter with counts in [first_hour, until): its position, its newest usable count, the mean of its usable counts
-- before origin_at, and when it last moved, if before until.
SELECT
  seen.counter_id,
  known.counter_name,
  known.latitude,
  known.longitude,
  IF(known.moved_at < @until, known.moved_at, NULL) AS moved_at,
  seen.last_counted_at,
  seen.last_count,
  seen.mean_count
FROM (
  SELECT
    counter_id,
    MAX(IF(quality IS NULL, counted_at, NULL)) AS last_counted_at,
    MAX_BY(bike_count, IF(quality IS NULL, counted_at, NULL)) AS last_count,
    AVG(IF(quality IS NULL AND counted_at < @origin_at, bike_count, NULL)) AS mean_count
  FROM {counts}
  WHERE counted_at >= @first_hour AND counted_at < @until
  GROUP BY counter_id
) AS seen
LEFT JOIN {counters} AS known ON known.counter_id = seen.counter_id
ORDER BY seen.counter_id
