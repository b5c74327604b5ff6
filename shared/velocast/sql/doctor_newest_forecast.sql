-- When the newest forecasts were made; null without forecasts for later hours.
SELECT MAX(predicted_at) AS predicted_at
FROM {forecasts}
WHERE target_at > @since
