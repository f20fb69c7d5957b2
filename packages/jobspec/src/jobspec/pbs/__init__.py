"""PBS Pro, Torque and Moab: scripts with `#PBS` and `#MSUB` lines, read as qsub and msub read them, and written."""
