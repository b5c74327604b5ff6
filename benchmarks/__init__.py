"""What is claimed about speed and memory, as one command: `make bench`."""
