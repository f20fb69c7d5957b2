"""What a site is like, as the profile that `jobspec --profile` reads: from what its workload manager tells."""
