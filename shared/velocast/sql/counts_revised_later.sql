-- How many changes after known_at there are of hours of [scan_from, scan_until) that were known then.
SELECT COUNT(*) AS changes
FROM {revisions}
WHERE counted_at >= @scan_from AND counted_at < @scan_until AND learned_at > @known_at AND known_at <= @known_at
  AND (ARRAY_LENGTH(@counter_ids) = 0 OR counter_id IN UNNEST(@counter_ids))
