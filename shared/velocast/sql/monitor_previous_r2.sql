-- R2 of the newest validation before as_of that has one.
SELECT r2
FROM {logs}
WHERE timestamp >= @since AND timestamp < @as_of AND event_type = 'VALIDATION' AND r2 IS NOT NULL
ORDER BY timestamp DESC
LIMIT 1
