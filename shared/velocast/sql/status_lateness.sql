-- How late the counts come: for each number of days, how many hours were known that many days after they had ended, and
-- how many had another count at first. Hours that ended before the first ingestion, or less than that many days before
-- the newest one, are left out.
WITH changed AS (
  SELECT counter_id, counted_at, MIN(known_at) AS known_at, LOGICAL_OR(old_count != new_count) AS corrected
  FROM {revisions}
  WHERE counted_at >= @since
  GROUP BY counter_id, counted_at
),
hours AS (
  SELECT
    TIMESTAMP_ADD(counts.counted_at, INTERVAL 1 HOUR) AS ended_at,
    LEAST(counts.ingested_at, COALESCE(changed.known_at, counts.ingested_at)) AS known_at,
    COALESCE(changed.corrected, FALSE) AS corrected
  FROM {counts} AS counts
  LEFT JOIN changed ON changed.counter_id = counts.counter_id AND changed.counted_at = counts.counted_at
  WHERE counts.counted_at >= @since
),
span AS (
  SELECT MIN(known_at) AS began, MAX(known_at) AS newest
  FROM hours
)
SELECT
  days,
  COUNT(*) AS hours,
  COUNTIF(hours.known_at <= TIMESTAMP_ADD(hours.ended_at, INTERVAL days DAY)) AS known,
  COUNTIF(hours.corrected) AS corrected
FROM hours
CROSS JOIN span
CROSS JOIN UNNEST([1, 2, 7, 30]) AS days
WHERE hours.ended_at > span.began AND hours.ended_at <= TIMESTAMP_SUB(span.newest, INTERVAL days DAY)
GROUP BY days
ORDER BY days
