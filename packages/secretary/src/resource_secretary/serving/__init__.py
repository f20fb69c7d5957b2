"""The tools of this machine for agents: a server of the Model Context Protocol on the official SDK."""
