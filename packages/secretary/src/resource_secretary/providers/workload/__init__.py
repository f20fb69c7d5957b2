"""Workload managers of a cluster."""
