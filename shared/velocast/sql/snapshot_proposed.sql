-- The counters that may continue others, as JSON, from the newest weekly digest in (since, as_of].
SELECT TO_JSON_STRING(JSON_QUERY(details, '$.continuations')) AS proposed
FROM {logs}
WHERE timestamp > @since
  AND timestamp <= @as_of
  AND event_type = 'ALERT'
  AND JSON_VALUE(details, '$.event') = 'weekly_digest'
ORDER BY timestamp DESC, event_id
LIMIT 1
