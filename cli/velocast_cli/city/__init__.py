"""`velocast city`: describe a new city from what it publishes, and check a description against counts."""
