"""HyperQueue: a script with `#HQ` directives for `hq submit`."""
