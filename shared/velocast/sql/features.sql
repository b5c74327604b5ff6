-- The hours to forecast from each origin, with what was known of each counter at the origin.
-- One row per (counter_id, origin_at, target_at). The origin is the start of local day D. Windows end on the day before
-- D, so no count at or after the origin is used. `bike_count` is the count to forecast, NULL where none is usable.
--
-- @first_origin, @last_origin DATE   local days of the origins, both included
-- @lead_days INT64                   days forecast from each origin, at most 7 (the weekly lags reach no further)
-- @one_lead BOOL                     training: return each target with a count once, for one lead day chosen by hash
-- @keep_one_in INT64                 keep one in this many targets, chosen by hash, with all lead days (1: keep all)
-- @with_busy BOOL                    whether `busy_threshold` is computed, which takes a third of the time of a training's
--                                    features; otherwise it is NULL
-- @zone STRING, @holidays ARRAY<DATE>, @counter_ids ARRAY<STRING> (empty: all)
-- @last_target TIMESTAMP             last hour to forecast, included
-- @scan_from, @scan_until TIMESTAMP  start: 56 local days before the first origin (the longest window); end, excluded,
--                                    of the counts that may be used
WITH
hours AS (
  SELECT
    utc_hour,
    DATE(utc_hour, @zone) AS local_date,
    CAST(FORMAT_TIMESTAMP('%H', utc_hour, @zone) AS INT64) AS local_hour
  FROM UNNEST(GENERATE_TIMESTAMP_ARRAY(@scan_from, @last_target, INTERVAL 1 HOUR)) AS utc_hour
),
usable AS (
  SELECT
    counts.counter_id,
    counts.counted_at,
    CAST(counts.bike_count AS FLOAT64) AS bike_count,
    hours.local_date,
    hours.local_hour
  FROM {counts} AS counts
  JOIN hours ON hours.utc_hour = counts.counted_at
  WHERE counts.counted_at >= @scan_from
    AND counts.counted_at < @scan_until
    AND counts.quality IS NULL
    AND (ARRAY_LENGTH(@counter_ids) = 0 OR counts.counter_id IN UNNEST(@counter_ids))
),
chosen AS (
  SELECT counter_id, ABS(MOD(FARM_FINGERPRINT(counter_id), 1000000007)) AS seed
  FROM (
    SELECT counter_id FROM usable
    UNION DISTINCT
    SELECT counter_id FROM {counters}
    WHERE ARRAY_LENGTH(@counter_ids) = 0 OR counter_id IN UNNEST(@counter_ids)
  )
),
days AS (
  SELECT
    local_date,
    CASE
      WHEN local_date IN UNNEST(@holidays) OR EXTRACT(DAYOFWEEK FROM local_date) = 1 THEN 'rest'
      WHEN EXTRACT(DAYOFWEEK FROM local_date) = 7 THEN 'saturday'
      ELSE 'working'
    END AS day_type,
    -- half-lives of 10, 4 and 30 days; only ratios of weights matter, so any day can be the reference
    POW(2.0, DATE_DIFF(local_date, @first_origin, DAY) / 10.0) AS weight,
    POW(2.0, DATE_DIFF(local_date, @first_origin, DAY) / 4.0) AS weight_4d,
    POW(2.0, DATE_DIFF(local_date, @first_origin, DAY) / 30.0) AS weight_30d
  FROM UNNEST(GENERATE_DATE_ARRAY(
    DATE_SUB(@first_origin, INTERVAL 56 DAY),
    DATE_ADD(@last_origin, INTERVAL @lead_days - 1 DAY)
  )) AS local_date
),
hourly AS ( -- when the clock goes back, two UTC hours share a local hour: use their mean
  SELECT counter_id, local_date, local_hour, AVG(bike_count) AS bike_count
  FROM usable
  GROUP BY counter_id, local_date, local_hour
),
grid AS ( -- one row per day and hour, so that a window of n rows covers n days
  SELECT
    chosen.counter_id,
    days.local_date,
    local_hour,
    hourly.bike_count,
    days.day_type,
    IF(hourly.bike_count IS NULL, NULL, days.weight) AS weight,
    IF(hourly.bike_count IS NULL, NULL, days.weight_4d) AS weight_4d,
    IF(hourly.bike_count IS NULL, NULL, days.weight_30d) AS weight_30d
  FROM chosen
  CROSS JOIN days
  CROSS JOIN UNNEST(GENERATE_ARRAY(0, 23)) AS local_hour
  LEFT JOIN hourly USING (counter_id, local_date, local_hour)
),
hour_history AS (
  SELECT
    counter_id,
    local_date,
    local_hour,
    day_type,
    bike_count,
    LAG(bike_count, 1) OVER by_hour AS hour_1d,
    LAG(bike_count, 2) OVER by_hour AS hour_2d,
    LAG(bike_count, 3) OVER by_hour AS hour_3d,
    LAG(bike_count, 4) OVER by_hour AS hour_4d,
    LAG(bike_count, 5) OVER by_hour AS hour_5d,
    LAG(bike_count, 6) OVER by_hour AS hour_6d,
    LAG(bike_count, 7) OVER by_hour AS hour_7d,
    LAG(bike_count, 14) OVER by_hour AS hour_14d,
    LAG(bike_count, 21) OVER by_hour AS hour_21d,
    LAG(bike_count, 28) OVER by_hour AS hour_28d,
    AVG(bike_count) OVER last_7 AS hour_mean_7d,
    AVG(bike_count) OVER last_28 AS hour_mean_28d,
    SUM(IF(day_type = 'working', weight * bike_count, NULL)) OVER last_28
      / SUM(IF(day_type = 'working', weight, NULL)) OVER last_28 AS working_mean,
    SUM(IF(day_type = 'saturday', weight * bike_count, NULL)) OVER last_28
      / SUM(IF(day_type = 'saturday', weight, NULL)) OVER last_28 AS saturday_mean,
    SUM(IF(day_type = 'rest', weight * bike_count, NULL)) OVER last_28
      / SUM(IF(day_type = 'rest', weight, NULL)) OVER last_28 AS rest_mean,
    SUM(IF(day_type = 'working', weight_4d * bike_count, NULL)) OVER last_28
      / SUM(IF(day_type = 'working', weight_4d, NULL)) OVER last_28 AS working_mean_4d,
    SUM(IF(day_type = 'working', weight_30d * bike_count, NULL)) OVER last_56
      / SUM(IF(day_type = 'working', weight_30d, NULL)) OVER last_56 AS working_mean_30d,
    FIRST_VALUE(IF(day_type = 'working', bike_count, NULL) IGNORE NULLS) OVER back_28 AS working_last,
    NTH_VALUE(IF(day_type = 'working', bike_count, NULL), 2 IGNORE NULLS) OVER back_28 AS working_previous,
    SUM(IF(day_type = 'saturday', weight_4d * bike_count, NULL)) OVER last_28
      / SUM(IF(day_type = 'saturday', weight_4d, NULL)) OVER last_28 AS saturday_mean_4d,
    SUM(IF(day_type = 'saturday', weight_30d * bike_count, NULL)) OVER last_56
      / SUM(IF(day_type = 'saturday', weight_30d, NULL)) OVER last_56 AS saturday_mean_30d,
    FIRST_VALUE(IF(day_type = 'saturday', bike_count, NULL) IGNORE NULLS) OVER back_28 AS saturday_last,
    NTH_VALUE(IF(day_type = 'saturday', bike_count, NULL), 2 IGNORE NULLS) OVER back_28 AS saturday_previous,
    SUM(IF(day_type = 'rest', weight_4d * bike_count, NULL)) OVER last_28
      / SUM(IF(day_type = 'rest', weight_4d, NULL)) OVER last_28 AS rest_mean_4d,
    SUM(IF(day_type = 'rest', weight_30d * bike_count, NULL)) OVER last_56
      / SUM(IF(day_type = 'rest', weight_30d, NULL)) OVER last_56 AS rest_mean_30d,
    FIRST_VALUE(IF(day_type = 'rest', bike_count, NULL) IGNORE NULLS) OVER back_28 AS rest_last,
    NTH_VALUE(IF(day_type = 'rest', bike_count, NULL), 2 IGNORE NULLS) OVER back_28 AS rest_previous
  FROM grid
  WINDOW
    by_hour AS (PARTITION BY counter_id, local_hour ORDER BY local_date),
    last_7 AS (by_hour ROWS BETWEEN 7 PRECEDING AND 1 PRECEDING),
    last_28 AS (by_hour ROWS BETWEEN 28 PRECEDING AND 1 PRECEDING),
    last_56 AS (by_hour ROWS BETWEEN 56 PRECEDING AND 1 PRECEDING),
    back_28 AS (
      PARTITION BY counter_id, local_hour ORDER BY local_date DESC ROWS BETWEEN 1 FOLLOWING AND 28 FOLLOWING
    )
),
neighbours AS ( -- the means of similar days over each hour and the hours beside it
  SELECT
    counter_id,
    local_date,
    local_hour,
    AVG(working_mean) OVER beside AS working_mean,
    AVG(saturday_mean) OVER beside AS saturday_mean,
    AVG(rest_mean) OVER beside AS rest_mean
  FROM hour_history
  WHERE local_date BETWEEN @first_origin AND @last_origin
  WINDOW beside AS (
    PARTITION BY counter_id, local_date ORDER BY local_hour ROWS BETWEEN 1 PRECEDING AND 1 FOLLOWING
  )
),
expected AS ( -- the count of each past hour that is expected from the similar days before it
  SELECT
    counter_id,
    local_date,
    bike_count,
    CASE day_type WHEN 'working' THEN working_mean WHEN 'saturday' THEN saturday_mean ELSE rest_mean END AS usual
  FROM hour_history
),
daily AS (
  SELECT
    counter_id,
    local_date,
    SUM(bike_count) AS bikes,
    COUNT(bike_count) AS hours,
    COALESCE(SUM(IF(usual IS NULL, NULL, bike_count)), 0) AS met,
    COALESCE(SUM(IF(bike_count IS NULL, NULL, usual)), 0) AS usual
  FROM expected
  GROUP BY counter_id, local_date
),
day_history AS (
  SELECT
    counter_id,
    local_date,
    SUM(bikes) OVER last_1 / NULLIF(SUM(hours) OVER last_1, 0) AS day_mean_1d,
    SUM(bikes) OVER last_2 / NULLIF(SUM(hours) OVER last_2, 0) AS day_mean_2d,
    SUM(bikes) OVER last_7 / NULLIF(SUM(hours) OVER last_7, 0) AS day_mean_7d,
    SUM(bikes) OVER last_28 / NULLIF(SUM(hours) OVER last_28, 0) AS level,
    SUM(hours) OVER last_28 AS history_hours,
    -- one bike per hour is added to both, so that the shares of a nearly idle counter stay stable
    (SUM(met) OVER last_1 + 24.0) / (SUM(usual) OVER last_1 + 24.0) AS share_1d,
    (SUM(met) OVER last_3 + 24.0) / (SUM(usual) OVER last_3 + 24.0) AS share_3d,
    (SUM(met) OVER last_7 + 24.0) / (SUM(usual) OVER last_7 + 24.0) AS share_7d
  FROM daily
  WINDOW
    by_day AS (PARTITION BY counter_id ORDER BY local_date),
    last_1 AS (by_day ROWS BETWEEN 1 PRECEDING AND 1 PRECEDING),
    last_2 AS (by_day ROWS BETWEEN 2 PRECEDING AND 1 PRECEDING),
    last_3 AS (by_day ROWS BETWEEN 3 PRECEDING AND 1 PRECEDING),
    last_7 AS (by_day ROWS BETWEEN 7 PRECEDING AND 1 PRECEDING),
    last_28 AS (by_day ROWS BETWEEN 28 PRECEDING AND 1 PRECEDING)
),
origins AS (
  SELECT local_date AS origin_date, MIN(utc_hour) AS origin_at
  FROM hours
  WHERE local_date BETWEEN @first_origin AND @last_origin
  GROUP BY local_date
),
busy AS ( -- 75th percentile of the 28 days before; between two counts, the lower one
  SELECT
    usable.counter_id,
    origins.origin_date,
    ARRAY_AGG(usable.bike_count ORDER BY usable.bike_count)[
      SAFE_OFFSET(CAST(FLOOR(0.75 * (COUNT(*) - 1)) AS INT64))
    ] AS busy_threshold
  FROM usable
  JOIN origins
    ON usable.local_date >= DATE_SUB(origins.origin_date, INTERVAL 28 DAY)
    AND usable.local_date < origins.origin_date
  WHERE @with_busy
  GROUP BY usable.counter_id, origins.origin_date
),
drawn AS ( -- integer arithmetic, because hashing every hour would cost more than the rest of the query
  SELECT
    chosen.counter_id,
    hours.utc_hour,
    hours.local_date,
    hours.local_hour,
    DIV(
      MOD(DIV(UNIX_SECONDS(hours.utc_hour), 3600) * 1103515245 + chosen.seed, 2147483648), 65536
    ) AS drawn
  FROM chosen
  CROSS JOIN hours
  WHERE hours.local_date >= @first_origin
),
targets AS (
  SELECT
    drawn.counter_id,
    origins.origin_date,
    origins.origin_at,
    drawn.utc_hour AS target_at,
    drawn.local_date AS target_date,
    drawn.local_hour,
    lead_day
  FROM drawn
  CROSS JOIN UNNEST(GENERATE_ARRAY(0, @lead_days - 1)) AS lead_day
  JOIN origins ON origins.origin_date = DATE_SUB(drawn.local_date, INTERVAL lead_day DAY)
  WHERE MOD(DIV(drawn.drawn, @lead_days), @keep_one_in) = 0
    AND (NOT @one_lead OR lead_day = MOD(drawn.drawn, @lead_days))
)
SELECT
  targets.counter_id,
  targets.origin_at,
  targets.target_at,
  TIMESTAMP_DIFF(targets.target_at, targets.origin_at, HOUR) AS lead_hours,
  targets.lead_day,
  targets.local_hour,
  days.day_type,
  actual.bike_count,
  week_ago.bike_count AS lag_168h,
  COALESCE(
    CASE days.day_type
      WHEN 'working' THEN recent.working_mean
      WHEN 'saturday' THEN recent.saturday_mean
      ELSE recent.rest_mean
    END,
    recent.hour_mean_28d,
    day_history.level
  ) AS similar_day_mean,
  recent.hour_1d,
  recent.hour_2d,
  recent.hour_3d,
  recent.hour_4d,
  recent.hour_5d,
  recent.hour_6d,
  recent.hour_7d,
  recent.hour_mean_7d,
  recent.hour_mean_28d,
  weeks.hour_7d AS week_1,
  weeks.hour_14d AS week_2,
  weeks.hour_21d AS week_3,
  weeks.hour_28d AS week_4,
  (
    COALESCE(weeks.hour_7d, 0) + COALESCE(weeks.hour_14d, 0)
    + COALESCE(weeks.hour_21d, 0) + COALESCE(weeks.hour_28d, 0)
  ) / NULLIF(
    IF(weeks.hour_7d IS NULL, 0, 1) + IF(weeks.hour_14d IS NULL, 0, 1)
    + IF(weeks.hour_21d IS NULL, 0, 1) + IF(weeks.hour_28d IS NULL, 0, 1), 0
  ) AS same_hour_4w_mean,
  day_history.day_mean_1d,
  day_history.day_mean_2d,
  day_history.day_mean_7d,
  day_history.level,
  day_history.share_1d,
  day_history.share_3d,
  day_history.share_7d,
  CAST(COALESCE(day_history.history_hours, 0) AS FLOAT64) AS history_hours,
  busy.busy_threshold,
  CASE days.day_type
    WHEN 'working' THEN recent.working_mean_4d
    WHEN 'saturday' THEN recent.saturday_mean_4d
    ELSE recent.rest_mean_4d
  END AS similar_day_mean_4d,
  CASE days.day_type
    WHEN 'working' THEN recent.working_mean_30d
    WHEN 'saturday' THEN recent.saturday_mean_30d
    ELSE recent.rest_mean_30d
  END AS similar_day_mean_30d,
  CASE days.day_type
    WHEN 'working' THEN recent.working_last
    WHEN 'saturday' THEN recent.saturday_last
    ELSE recent.rest_last
  END AS similar_day_last,
  CASE days.day_type
    WHEN 'working' THEN recent.working_previous
    WHEN 'saturday' THEN recent.saturday_previous
    ELSE recent.rest_previous
  END AS similar_day_previous,
  CASE days.day_type
    WHEN 'working' THEN neighbours.working_mean
    WHEN 'saturday' THEN neighbours.saturday_mean
    ELSE neighbours.rest_mean
  END AS similar_day_mean_3h
FROM targets
JOIN days ON days.local_date = targets.target_date
LEFT JOIN usable AS actual
  ON actual.counter_id = targets.counter_id AND actual.counted_at = targets.target_at
LEFT JOIN usable AS week_ago
  ON week_ago.counter_id = targets.counter_id
  AND week_ago.counted_at = TIMESTAMP_SUB(targets.target_at, INTERVAL 168 HOUR)
  AND week_ago.counted_at < targets.origin_at
LEFT JOIN hour_history AS recent
  ON recent.counter_id = targets.counter_id
  AND recent.local_date = targets.origin_date
  AND recent.local_hour = targets.local_hour
LEFT JOIN neighbours
  ON neighbours.counter_id = targets.counter_id
  AND neighbours.local_date = targets.origin_date
  AND neighbours.local_hour = targets.local_hour
LEFT JOIN hour_history AS weeks
  ON weeks.counter_id = targets.counter_id
  AND weeks.local_date = targets.target_date
  AND weeks.local_hour = targets.local_hour
LEFT JOIN day_history
  ON day_history.counter_id = targets.counter_id AND day_history.local_date = targets.origin_date
LEFT JOIN busy
  ON busy.counter_id = targets.counter_id AND busy.origin_date = targets.origin_date
WHERE NOT @one_lead OR actual.bike_count IS NOT NULL
