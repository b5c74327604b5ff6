"""The local stack: the product and the emulators on one machine. Never deployed."""
