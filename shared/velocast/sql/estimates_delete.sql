-- Takes away the estimates of [since, until) that were not made again: those whose hours are not in `made`.
DELETE FROM {count_estimates} AS T
WHERE T.counted_at >= @since
  AND T.counted_at < @until
  AND NOT EXISTS (
    SELECT 1
    FROM {made} AS M
    WHERE M.counter_id = T.counter_id AND M.counted_at = T.counted_at
  )
