-- The counts of [scan_from, scan_until) as they were known at known_at, each under the counter to whose history it belongs.
-- One definition with velocast.model.histories.counts: an id in @affected has only what the terms give it; a term gives a
-- counter the counts of a part in [since, until), and an hour in which one of its @term_sizes parts is missing has none.
-- An hour of several parts is usable where all of them are.
--
-- Parameters of counts_as_of.sql, and
-- @affected ARRAY<STRING>
-- @term_counters, @term_parts ARRAY<STRING>, @term_since, @term_until ARRAY<TIMESTAMP>, @term_sizes ARRAY<INT64>
WITH known AS (
{counts_as_of.sql}
),
terms AS (
{history_terms.sql}
)
SELECT counter_id, counted_at, bike_count, quality, ingested_at
FROM known
WHERE counter_id NOT IN UNNEST(@affected)
UNION ALL
SELECT
  terms.counter_id,
  known.counted_at,
  SUM(known.bike_count) AS bike_count,
  MAX(known.quality) AS quality,
  MAX(known.ingested_at) AS ingested_at
FROM terms
JOIN known
  ON known.counter_id = terms.part_id AND known.counted_at >= terms.since AND known.counted_at < terms.until
GROUP BY terms.counter_id, known.counted_at, terms.size
HAVING COUNT(*) = terms.size
