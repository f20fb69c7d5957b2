"""Networks that a host is on."""
