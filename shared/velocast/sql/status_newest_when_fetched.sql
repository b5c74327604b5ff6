-- The newest hour that each ingestion stored, and the time of that ingestion.
SELECT ingested_at, MAX(counted_at) AS newest
FROM {counts}
WHERE counted_at >= @since
GROUP BY ingested_at
ORDER BY ingested_at
