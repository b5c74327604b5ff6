-- The usable hours of some counters in [first_hour, until).
SELECT counter_id, counted_at, bike_count
FROM {counts}
WHERE counted_at >= @first_hour AND counted_at < @until AND quality IS NULL AND counter_id IN UNNEST(@counter_ids)
