-- How an execution ended. The lower bound only satisfies the required partition filter.
SELECT status, error_message
FROM {logs}
WHERE timestamp > TIMESTAMP('2000-01-01') AND execution_id = @execution_id
ORDER BY IF(status = 'FAILED', 0, 1)
LIMIT 1
