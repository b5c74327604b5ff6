"""Sources of weather, one module for each service."""
