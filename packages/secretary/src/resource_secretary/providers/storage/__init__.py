"""Storage: parallel, network and local file systems, and local disks."""
