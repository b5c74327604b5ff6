"""How rows and columns hold the counts: long, wide, or a row a day."""
