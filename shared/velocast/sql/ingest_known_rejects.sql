-- Rejects stored since since: a record the city keeps sending is quarantined once.
SELECT DISTINCT reject_id
FROM {rejects}
WHERE ingested_at >= @since
