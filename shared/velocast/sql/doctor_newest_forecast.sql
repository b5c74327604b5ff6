-- When the newest forecasts were made; null without forecasts for hours after @since.
SELECT MAX(predicted_at) AS predicted_at
FROM {forecasts}
WHERE target_at > @since
