-- What was decided about trained models in (since, as_of], oldest first: refused by an evaluation, or deployed by a promotion.
-- A model trained in test mode does not count.
SELECT
  timestamp,
  deployment_decision AS decision,
  SAFE_CAST(JSON_VALUE(details, '$.version') AS INT64) AS version,
  IFNULL(JSON_VALUE(details, '$.task'), 'forecast') AS task,
  old_r2_score,
  new_r2_score
FROM {logs}
WHERE timestamp > @since
  AND timestamp <= @as_of
  AND event_type = 'DEPLOYMENT'
  AND status = 'OK'
  AND deployment_decision IN ('DEPLOY', 'SKIP', 'REJECT')
  AND IFNULL(JSON_VALUE(details, '$.test_mode'), 'false') = 'false'
ORDER BY timestamp, event_id
