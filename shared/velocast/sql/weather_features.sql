-- The weather of each hour to forecast, as known at the origin, and its difference from the days before.
-- One row per (origin_at, target_at); no row where no weather of the hour was known. Of several values for an hour, the
-- newest issued at or before the origin is used, so that later observations never replace the forecast.
-- Weather is that of full hours of UTC; an hour of a city's clock that begins at half past has that of its first half.
-- The weather of a day is that of its local hours 7 to 20, when most people ride.
--
-- @first_origin, @last_origin DATE   local days of the origins, both included
-- @lead_days INT64                   days forecast from each origin
-- @zone STRING, @holidays ARRAY<DATE>
-- @scan_from, @last_target TIMESTAMP 28 local days before the first origin; last hour to forecast, included
WITH
hours AS (
  SELECT
    utc_hour,
    DATE(utc_hour, @zone) AS local_date,
    CAST(FORMAT_TIMESTAMP('%H', utc_hour, @zone) AS INT64) AS local_hour
  FROM UNNEST(GENERATE_TIMESTAMP_ARRAY(@scan_from, @last_target, INTERVAL 1 HOUR)) AS utc_hour
),
origins AS (
  SELECT local_date AS origin_date, MIN(utc_hour) AS origin_at
  FROM hours
  WHERE local_date BETWEEN @first_origin AND @last_origin
  GROUP BY local_date
),
versions AS (
  SELECT
    valid_at,
    temperature_c,
    precipitation_mm,
    cloud_pct,
    issued_at,
    LEAD(issued_at) OVER (PARTITION BY valid_at ORDER BY issued_at) AS replaced_at
  FROM {weather}
  WHERE valid_at >= TIMESTAMP_TRUNC(@scan_from, HOUR) AND valid_at <= @last_target
),
known AS (
  SELECT
    origins.origin_date,
    origins.origin_at,
    hours.utc_hour,
    hours.local_date,
    hours.local_hour,
    versions.temperature_c,
    versions.precipitation_mm,
    versions.cloud_pct
  FROM versions
  JOIN hours ON TIMESTAMP_TRUNC(hours.utc_hour, HOUR) = versions.valid_at
  JOIN origins
    ON versions.issued_at <= origins.origin_at
    AND (versions.replaced_at IS NULL OR versions.replaced_at > origins.origin_at)
    AND hours.local_date >= DATE_SUB(origins.origin_date, INTERVAL 28 DAY)
    AND hours.local_date < DATE_ADD(origins.origin_date, INTERVAL @lead_days DAY)
),
days AS (
  SELECT
    origin_date,
    local_date,
    DATE_DIFF(origin_date, local_date, DAY) AS days_ago,
    CASE
      WHEN local_date IN UNNEST(@holidays) OR EXTRACT(DAYOFWEEK FROM local_date) = 1 THEN 'rest'
      WHEN EXTRACT(DAYOFWEEK FROM local_date) = 7 THEN 'saturday'
      ELSE 'working'
    END AS day_type,
    AVG(IF(local_hour BETWEEN 7 AND 20, temperature_c, NULL)) AS temperature,
    SUM(IF(local_hour BETWEEN 7 AND 20, precipitation_mm, NULL)) AS rain,
    SUM(IF(local_hour BETWEEN 7 AND 20 AND precipitation_mm > 0.1, 1.0, 0.0)) AS wet_hours,
    SUM(IF(local_hour BETWEEN 6 AND 9, precipitation_mm, NULL)) AS morning_rain,
    SUM(IF(local_hour BETWEEN 16 AND 19, precipitation_mm, NULL)) AS evening_rain,
    AVG(IF(local_hour BETWEEN 7 AND 20, cloud_pct, NULL)) AS cloud
  FROM known
  GROUP BY origin_date, local_date
),
lately AS (
  SELECT
    origin_date,
    AVG(temperature) AS temperature,
    AVG(rain) AS rain,
    AVG(cloud) AS cloud,
    MAX(IF(days_ago = 1, rain, NULL)) AS yesterday_rain
  FROM days
  WHERE days_ago BETWEEN 1 AND 7
  GROUP BY origin_date
),
similar AS ( -- weighted like the counts of similar days: half-life 10 days
  SELECT
    origin_date,
    day_type,
    SUM(IF(temperature IS NULL, NULL, POW(0.5, days_ago / 10.0) * temperature))
      / SUM(IF(temperature IS NULL, NULL, POW(0.5, days_ago / 10.0))) AS temperature,
    SUM(IF(rain IS NULL, NULL, POW(0.5, days_ago / 10.0) * rain))
      / SUM(IF(rain IS NULL, NULL, POW(0.5, days_ago / 10.0))) AS rain,
    SUM(IF(rain IS NULL, NULL, POW(0.5, days_ago / 10.0) * wet_hours))
      / SUM(IF(rain IS NULL, NULL, POW(0.5, days_ago / 10.0))) AS wet_hours,
    SUM(IF(cloud IS NULL, NULL, POW(0.5, days_ago / 10.0) * cloud))
      / SUM(IF(cloud IS NULL, NULL, POW(0.5, days_ago / 10.0))) AS cloud
  FROM days
  WHERE days_ago BETWEEN 1 AND 28
  GROUP BY origin_date, day_type
)
SELECT
  known.origin_at,
  known.utc_hour AS target_at,
  known.temperature_c AS temperature,
  known.precipitation_mm AS rain,
  one_before.precipitation_mm + two_before.precipitation_mm AS rain_before,
  days.temperature AS day_temperature,
  days.rain AS day_rain,
  IF(days.rain IS NULL, NULL, days.wet_hours) AS day_wet_hours,
  days.morning_rain,
  days.evening_rain,
  lately.yesterday_rain,
  days.cloud AS day_cloud,
  days.temperature - lately.temperature AS day_temperature_7d,
  days.rain - lately.rain AS day_rain_7d,
  days.temperature - similar.temperature AS day_temperature_similar,
  days.rain - similar.rain AS day_rain_similar,
  IF(days.rain IS NULL, NULL, days.wet_hours - similar.wet_hours) AS day_wet_hours_similar,
  days.cloud - lately.cloud AS day_cloud_7d,
  days.cloud - similar.cloud AS day_cloud_similar
FROM known
LEFT JOIN known AS one_before
  ON one_before.origin_date = known.origin_date
  AND one_before.utc_hour = TIMESTAMP_SUB(known.utc_hour, INTERVAL 1 HOUR)
LEFT JOIN known AS two_before
  ON two_before.origin_date = known.origin_date
  AND two_before.utc_hour = TIMESTAMP_SUB(known.utc_hour, INTERVAL 2 HOUR)
LEFT JOIN days ON days.origin_date = known.origin_date AND days.local_date = known.local_date
LEFT JOIN lately ON lately.origin_date = known.origin_date
LEFT JOIN similar ON similar.origin_date = known.origin_date AND similar.day_type = days.day_type
WHERE known.local_date >= known.origin_date
