"""Sources of counts, one module for each kind of open-data portal."""
