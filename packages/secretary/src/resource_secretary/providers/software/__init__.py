"""Software that is installed, and what manages it."""
