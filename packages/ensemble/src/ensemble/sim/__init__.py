"""The simulated queue: a cluster in virtual time, models of jobs, and the driver of `ensemble simulate`."""
