-- The usable counts of the hours in [first_hour, until). Of the counters, one in keep_one_in is kept, chosen by hash: with
-- all its hours, because daily and weekly shares need them all.
SELECT counter_id, counted_at, bike_count
FROM {counts}
WHERE counted_at >= @first_hour
  AND counted_at < @until
  AND quality IS NULL
  AND MOD(ABS(MOD(FARM_FINGERPRINT(counter_id), 1000000007)), @keep_one_in) = 0
