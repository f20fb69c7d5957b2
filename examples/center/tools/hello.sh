#!/bin/bash
#SBATCH --job-name=hello
#SBATCH --partition=debug
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=1
#SBATCH --time=5
#SBATCH --output=hello-%j.log

srun sh -c 'echo "task $SLURM_PROCID of $SLURM_NTASKS"'
