"""The built-in burstables: one module each, with `init` at its top level."""
