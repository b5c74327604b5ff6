"""Goes back to the previous champion, or to the previous revision of the API."""
