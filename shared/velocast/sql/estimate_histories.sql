-- The estimates of hours in [scan_from, scan_until), each under the counter to whose history it belongs, as
-- counter_histories.sql has the counts. A sum of counters has none: it is only counted where all parts are.
WITH terms AS (
{history_terms.sql}
)
SELECT IFNULL(terms.counter_id, estimates.counter_id) AS counter_id, estimates.counted_at, estimates.estimated_count
FROM {count_estimates} AS estimates
LEFT JOIN terms
  ON terms.part_id = estimates.counter_id
  AND terms.size = 1
  AND estimates.counted_at >= terms.since
  AND estimates.counted_at < terms.until
WHERE estimates.counted_at >= @scan_from
  AND estimates.counted_at < @scan_until
  AND (terms.counter_id IS NOT NULL OR estimates.counter_id NOT IN UNNEST(@affected))
