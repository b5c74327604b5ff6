-- Retraining and deployment decisions of the last year, with the figures behind them.
SELECT
  timestamp,
  event_type,
  retrain_decision,
  deployment_decision,
  status,
  r2,
  rmse,
  forecast_skill,
  drift_share,
  old_r2_score,
  new_r2_score,
  model_improvement,
  old_champion_run_id,
  new_champion_run_id,
  execution_id
FROM `${project}.monitoring_audit.logs`
WHERE timestamp >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 366 DAY)
  AND (retrain_decision IS NOT NULL OR deployment_decision IS NOT NULL)
