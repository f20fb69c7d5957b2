"""What people look at: the lines and the live view of a run, JSON Lines, the status of a run's directory, the page."""
