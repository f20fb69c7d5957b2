#!/bin/bash
#SBATCH --job-name=train
#SBATCH --account=vision
#SBATCH --partition=gpu
#SBATCH --nodes=1
#SBATCH --ntasks=4
#SBATCH --gpus-per-node=a100:4
#SBATCH --cpus-per-task=8
#SBATCH --mem=200G
#SBATCH --time=1-00:00:00
#SBATCH --requeue
#SBATCH --signal=B:USR1@300

trap 'touch stop-and-save; wait' USR1

echo "job $SLURM_JOB_ID on $SLURM_JOB_NODELIST"
srun python train.py --resume checkpoints/ &
wait
