-- Whose counts are read under another counter's id: one row for each element of the five arrays (usecases/histories.py).
-- the casts have no effect in BigQuery; they are for engines that read an array of timestamps as an array of strings
SELECT counter_id, part_id, CAST(since AS TIMESTAMP) AS since, CAST(until AS TIMESTAMP) AS until, CAST(size AS INT64) AS size
FROM UNNEST(@term_counters) AS counter_id WITH OFFSET AS position
JOIN UNNEST(@term_parts) AS part_id WITH OFFSET AS part_position ON part_position = position
JOIN UNNEST(@term_since) AS since WITH OFFSET AS since_position ON since_position = position
JOIN UNNEST(@term_until) AS until WITH OFFSET AS until_position ON until_position = position
JOIN UNNEST(@term_sizes) AS size WITH OFFSET AS size_position ON size_position = position
