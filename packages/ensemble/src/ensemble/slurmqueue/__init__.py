"""What the Slurm member is made of: tables of Slurm, its commands, the script of a job, and what jobs write down."""
