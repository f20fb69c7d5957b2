"""Setting a lead up: the folder that `flux-burst init` writes, and what `flux-burst check` looks at."""
