"""`velocast doctor`: checks a deployment, says what is wrong and which command fixes it."""
