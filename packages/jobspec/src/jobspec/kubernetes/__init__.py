"""Kubernetes: Job manifests (batch/v1), read and written, and JobSets, written."""
