"""When records were counted: columns of time, their formats, steps and clock changes."""
