-- The run that the audit trail names as champion of each task, with all rows of its newest moment. A refused challenger has
-- a row too, with another decision. The lower bound only satisfies the required partition filter.
SELECT
  IFNULL(JSON_VALUE(details, '$.task'), 'forecast') AS task,
  new_champion_run_id AS run_id
FROM {logs}
WHERE timestamp > TIMESTAMP('2000-01-01')
  AND event_type = 'DEPLOYMENT'
  AND status = 'OK'
  AND new_champion_run_id IS NOT NULL
  AND IFNULL(deployment_decision, 'DEPLOY') = 'DEPLOY'
QUALIFY RANK() OVER (PARTITION BY IFNULL(JSON_VALUE(details, '$.task'), 'forecast') ORDER BY timestamp DESC) = 1
