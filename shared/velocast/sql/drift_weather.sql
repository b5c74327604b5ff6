-- The weather of each hour in [first_hour, until), as last known at as_of.
SELECT temperature_c, precipitation_mm
FROM {weather}
WHERE valid_at >= @first_hour AND valid_at < @until AND issued_at <= @as_of
QUALIFY ROW_NUMBER() OVER (PARTITION BY valid_at ORDER BY issued_at DESC) = 1
