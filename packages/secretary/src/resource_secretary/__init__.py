"""Find out what a machine or cluster has, and give it to people and agents as tools."""

__version__ = "1.0.0a1"
