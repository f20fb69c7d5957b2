#!/bin/bash
#SBATCH --job-name=merge
#SBATCH --account=genomes
#SBATCH --partition=standard
#SBATCH --ntasks=1
#SBATCH --cpus-per-tasks=2
#SBATCH --mem=8G
#SBATCH --time=30

samtools merge -@ 2 all.bam *.bam
