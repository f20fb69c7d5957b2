"""Planning, which is pure: what was observed and a policy give a plan."""
