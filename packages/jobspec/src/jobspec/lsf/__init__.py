"""IBM Spectrum LSF: `#BSUB`."""
