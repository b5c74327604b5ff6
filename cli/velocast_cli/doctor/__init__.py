"""`velocast doctor`: checks a deployment, names what is wrong and the command that mends it."""
