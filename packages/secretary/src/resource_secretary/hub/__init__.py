"""The hub: puts one request to many secretaries at once, and chooses one of them by a policy."""
