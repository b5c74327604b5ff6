-- The estimates of the hours that are about to be estimated again, taken away.
DELETE FROM {count_estimates} WHERE counted_at >= @since AND counted_at < @until
