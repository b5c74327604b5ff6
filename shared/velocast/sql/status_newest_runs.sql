-- The newest run of each event type. The lower bound only satisfies the required partition filter.
SELECT event_type, timestamp, status, r2, drift_share, retrain_decision, deployment_decision, error_message
FROM {logs}
WHERE timestamp > TIMESTAMP('2000-01-01')
QUALIFY ROW_NUMBER() OVER (PARTITION BY event_type ORDER BY timestamp DESC, event_id DESC) = 1
ORDER BY event_type
