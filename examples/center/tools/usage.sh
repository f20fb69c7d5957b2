#!/bin/bash
# Not a batch script: what the login nodes run every night.
du --summarize /home/* | sort -n
