#!/bin/bash
#SBATCH --job-name=align
#SBATCH --account=genomes
#SBATCH --partition=standard
#SBATCH --array=1-200%20
#SBATCH --ntasks=1
#SBATCH --cpus-per-task=4
#SBATCH --mem=16G
#SBATCH --time=02:00:00
#SBATCH --output=align-%A_%a.log

sample=$(sed -n "${SLURM_ARRAY_TASK_ID}p" samples.txt)
bwa mem -t $SLURM_CPUS_PER_TASK reference.fa "$sample.fq" > "$sample.sam"
