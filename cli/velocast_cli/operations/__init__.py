"""What a person does to a deployment or to the local stack: look, backfill, roll back, replay, restore."""
