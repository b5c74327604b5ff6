"""The public site: the page, its data, and the same data as files for others, all made from one snapshot."""
