-- The mean of similar days of each hour from each origin, as sql/features.sql defines it, whose parameters it has.
SELECT counter_id, origin_at, target_at, day_type, local_hour, similar_day_mean
FROM (
{features.sql}
)
