-- The newest hour of those that each ingestion learned, and when it did.
SELECT ingested_at, MAX(counted_at) AS newest
FROM {counts}
WHERE counted_at >= @since
GROUP BY ingested_at
ORDER BY ingested_at
