"""Tests of the documentation: the site, its links, the paths it names, and the release check."""
