-- Promotions up to as_of, the newest first; of two at the same moment the later one replaced a newer manifest. A refused
-- challenger has a row of the same type, with the decision SKIP or REJECT.
SELECT execution_id, TO_JSON_STRING(details) AS details
FROM {logs}
WHERE timestamp >= @since AND timestamp <= @as_of AND event_type = 'DEPLOYMENT' AND status = 'OK'
  AND IFNULL(deployment_decision, 'DEPLOY') = 'DEPLOY'
ORDER BY timestamp DESC, SAFE_CAST(JSON_VALUE(details, '$.replaced.generation') AS INT64) DESC
