-- Ids of the rejects stored since @since, so that a record that the city keeps sending is stored once.
SELECT DISTINCT reject_id
FROM {rejects}
WHERE ingested_at >= @since
