"""What a site is like, as the profile that `jobspec convert --profile` reads: from what its workload manager tells."""
