#!/bin/bash
#SBATCH -J wing
#SBATCH -A aero
#SBATCH -p standard
#SBATCH -N 2
#SBATCH --ntasks=96
#SBATCH --exclusive
#SBATCH --mem=0
#SBATCH -t 0-06:00
#SBATCH --constraint=bigmem
#SBATCH -o log.%j

set -euo pipefail
module load openfoam

decomposePar -force
srun --ntasks=96 simpleFoam -parallel
reconstructPar -latestTime
