-- The faults that the newest ingestion before as_of knew of, as JSON; no row where none looked for faults.
SELECT TO_JSON_STRING(JSON_QUERY(details, '$.quality.faults')) AS faults
FROM {logs}
WHERE timestamp >= @since
  AND timestamp < @as_of
  AND event_type = 'INGESTION'
  AND JSON_QUERY(details, '$.quality.faults') IS NOT NULL
ORDER BY timestamp DESC, event_id
LIMIT 1
