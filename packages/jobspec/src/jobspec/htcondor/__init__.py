"""HTCondor: a submit description and the script that it runs (condor_submit(1))."""
