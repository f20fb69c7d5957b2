"""The world of the controller, in virtual time."""
