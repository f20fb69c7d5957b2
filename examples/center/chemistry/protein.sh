#!/bin/bash
# Molecular dynamics, MPI ranks with OpenMP threads.
#SBATCH --job-name=protein
#SBATCH --account=chem-07
#SBATCH --partition=standard
#SBATCH --nodes=4
#SBATCH --ntasks-per-node=16
#SBATCH --cpus-per-task=4
#SBATCH --time=12:00:00
#SBATCH --output=%x.%j.out
#SBATCH --error=%x.%j.err
#SBATCH --mail-type=FAIL
#SBATCH --mail-user=chem-07@lists.example.org

module purge
module load gromacs/2023.3

export OMP_NUM_THREADS=$SLURM_CPUS_PER_TASK
srun gmx_mpi mdrun -deffnm production -ntomp $OMP_NUM_THREADS -maxh 11.8
