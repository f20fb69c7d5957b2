"""PBS Pro, Torque and Moab: scripts with `#PBS` and `#MSUB` lines, read as their qsub and msub read them, and written."""
