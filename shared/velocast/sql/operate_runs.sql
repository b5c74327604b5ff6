-- The newest audit rows that pass the filters, newest first. A filter of '' lets every row pass.
SELECT
  event_id, timestamp, event_type, execution_id, status, r2, drift_share, retrain_decision, deployment_decision,
  old_champion_run_id, new_champion_run_id, error_message, TO_JSON_STRING(details) AS details
FROM {logs}
WHERE timestamp >= @since
  AND (@event_type = '' OR event_type = @event_type)
  AND (@component = '' OR STARTS_WITH(event_id, CONCAT(@component, ':')))
  AND (@status = '' OR status = @status)
  AND (@execution_id = '' OR STARTS_WITH(execution_id, @execution_id))
QUALIFY ROW_NUMBER() OVER (ORDER BY timestamp DESC, event_id DESC) <= @newest
ORDER BY timestamp DESC, event_id DESC
