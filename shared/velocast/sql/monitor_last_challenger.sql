-- The newest decision about a forecaster up to as_of, by an evaluation that refused it or by a promotion. A model trained in
-- test mode does not count.
SELECT
  timestamp,
  deployment_decision AS decision,
  SAFE_CAST(JSON_VALUE(details, '$.version') AS INT64) AS version
FROM {logs}
WHERE timestamp >= @since
  AND timestamp <= @as_of
  AND event_type = 'DEPLOYMENT'
  AND status = 'OK'
  AND deployment_decision IN ('DEPLOY', 'SKIP', 'REJECT')
  AND IFNULL(JSON_VALUE(details, '$.task'), 'forecast') = 'forecast'
  AND IFNULL(JSON_VALUE(details, '$.test_mode'), 'false') = 'false'
ORDER BY timestamp DESC, deployment_decision
LIMIT 1
