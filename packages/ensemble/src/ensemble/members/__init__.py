"""The built-in members, one module each."""
