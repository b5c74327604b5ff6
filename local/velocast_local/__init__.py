"""The local stack: product and emulators put together on one machine. Never deployed."""
