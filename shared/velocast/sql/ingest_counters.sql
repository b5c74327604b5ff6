-- All stored counters.
SELECT
  counter_id, counter_name, site_id, site_name, latitude, longitude, installed_on, first_seen_at, last_seen_at,
  moved_at
FROM {counters}
ORDER BY counter_id
