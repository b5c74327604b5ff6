-- The growth that the newest weekly digest in (since, as_of] measured, as JSON; no row where none could.
SELECT TO_JSON_STRING(JSON_QUERY(details, '$.growth')) AS growth
FROM {logs}
WHERE timestamp > @since
  AND timestamp <= @as_of
  AND event_type = 'ALERT'
  AND JSON_VALUE(details, '$.event') = 'weekly_digest'
  AND JSON_VALUE(details, '$.growth.city.now') IS NOT NULL
ORDER BY timestamp DESC, event_id
LIMIT 1
