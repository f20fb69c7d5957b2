#!/bin/bash
#SBATCH --job-name=lattice-boltzmann
#SBATCH --nodes=2
#SBATCH --ntasks-per-node=4
#SBATCH --cpus-per-task=8          # OpenMP threads of each MPI rank
#SBATCH --mem=64G                  # of each node
#SBATCH --time=02:30:00
#SBATCH --partition=compute
#SBATCH --account=fluids
#SBATCH --output=%x-%j.log
#SBATCH --mail-type=END,FAIL

set -euo pipefail

module load gcc openmpi

export OMP_NUM_THREADS="${SLURM_CPUS_PER_TASK}"
srun ./channel-flow --input channel.toml --steps 200000
