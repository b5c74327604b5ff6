-- Runs of the last 90 days, by day, event type and status.
SELECT
  DATE(timestamp) AS run_date,
  event_type,
  status,
  COUNT(*) AS runs,
  ANY_VALUE(error_message) AS an_error
FROM `${project}.monitoring_audit.logs`
WHERE timestamp >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 90 DAY)
GROUP BY run_date, event_type, status
