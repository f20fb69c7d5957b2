"""jobspec's own YAML, version 1, read and written as one job."""
