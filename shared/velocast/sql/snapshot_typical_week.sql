-- Each counter's typical week: median and spread of its usable counts in each of the 168 local hours, Monday 0 h first.
-- One row per counter and local hour that was counted at least min_weeks times from first_hour to before until.
SELECT
  counter_id,
  local_slot,
  -- of an even number of counts the lower one in the middle
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
