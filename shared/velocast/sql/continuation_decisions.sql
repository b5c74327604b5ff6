-- What people had decided on counters that continue others by as_of, oldest first.
SELECT counter_id, continues, since, decision, reason, given_by, given_at
FROM {continuations}
WHERE given_at <= @as_of
ORDER BY given_at, counter_id, continues
