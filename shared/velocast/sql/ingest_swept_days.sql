-- What the city counted of days when their records were last fetched by a sweep, as JSON, the newest sweep first.
SELECT TO_JSON_STRING(JSON_QUERY(details, '$.sweep.told')) AS told
FROM {logs}
WHERE timestamp >= @since
  AND timestamp < @as_of
  AND event_type = 'INGESTION'
  AND JSON_QUERY(details, '$.sweep.told') IS NOT NULL
ORDER BY timestamp DESC, event_id
