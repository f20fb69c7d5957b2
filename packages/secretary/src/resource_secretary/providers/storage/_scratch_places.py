"""What counts as local scratch: types, places and variables, as sites document them for their users."""

from __future__ import annotations

LOCAL = frozenset({"ext2", "ext3", "ext4", "xfs", "zfs", "btrfs", "f2fs", "jfs", "bcachefs"})
MEMORY = frozenset({"tmpfs", "ramfs"})

SHARED = "/tmp"  # noqa: S108 - where everybody may write (hier(7)); nothing is written here

# Folders where scratch is mounted by convention; /dev/shm is the one for memory (shm_overview(7)).
POINTS = (
    *("/scratch", "/local", "/local_scratch", "/localscratch", "/local-scratch", "/lscratch", "/scratch_local"),
    *("/tmp", "/var/tmp", "/nvme", "/ssd", "/flash", "/jobfs", "/raid", "/data1", "/disk", "/lustre_local"),  # noqa: S108
    *("/mnt/scratch", "/mnt/local", "/mnt/nvme", "/mnt/ssd", "/mnt/resource", "/mnt/bb", "/mnt/localssd"),
    *("/state/partition1", "/work_local", "/dev/shm"),  # noqa: S108
)
SYSTEM = ("/boot", "/efi", "/usr", "/var", "/opt", "/etc", "/run", "/snap", "/root", "/srv")

# What schedulers and sites set in a job: TMPDIR (IEEE Std 1003.1), SLURM_TMPDIR (Digital Research Alliance of Canada),
# PBS_JOBFS (NCI), LOCAL_SCRATCH (CSC), SNIC_TMP and NAISS_TMP (Sweden), L_SCRATCH (Sherlock), LSCRATCH (NIH Biowulf),
# _CONDOR_SCRATCH_DIR (HTCondor), BBPATH (burst buffers of LSF), MEMDIR and SHM_DIR for memory.
VARIABLES = (
    *("TMPDIR", "SLURM_TMPDIR", "PBS_JOBFS", "JOBFS", "LOCAL_SCRATCH", "LOCALSCRATCH", "SCRATCH_LOCAL", "LSCRATCH"),
    *("L_SCRATCH", "L_SCRATCH_JOB", "SNIC_TMP", "NAISS_TMP", "NVME_SCRATCH", "SCRATCHDIR", "SCRATCH", "BBPATH"),
    *("_CONDOR_SCRATCH_DIR", "MEMDIR", "SHM_DIR"),
)

# Devices whose disk is not in this host, by the start of their names.
REMOTE = {"rbd": "Ceph RBD", "nbd": "a network block device", "drbd": "DRBD"}
