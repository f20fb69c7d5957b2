"""Flux: batch scripts with submission directives (RFC 36), and jobspecs (RFC 14, and version 1: RFC 25)."""
