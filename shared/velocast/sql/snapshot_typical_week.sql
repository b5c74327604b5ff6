-- The typical week of each counter: median and standard deviation of its usable counts in each of the 168 local hours,
-- from Monday 00:00. One row per counter and local hour with at least min_weeks counts in [first_hour, until).
SELECT
  counter_id,
  local_slot,
  -- for an even number of counts, the lower of the middle two
  ARRAY_AGG(bike_count ORDER BY bike_count)[
    SAFE_OFFSET(CAST(FLOOR(0.5 * (COUNT(*) - 1)) AS INT64))
  ] AS median_count,
  IFNULL(STDDEV_SAMP(bike_count), 0.0) AS deviation
FROM (
  SELECT
    counter_id,
    bike_count,
    MOD(EXTRACT(DAYOFWEEK FROM counted_at AT TIME ZONE @zone) + 5, 7) * 24
      + EXTRACT(HOUR FROM counted_at AT TIME ZONE @zone) AS local_slot
  FROM {counts}
  WHERE counted_at >= @first_hour AND counted_at < @until AND quality IS NULL
) AS hours
GROUP BY counter_id, local_slot
HAVING COUNT(*) >= @min_weeks
