"""The options of bsub in IBM Spectrum LSF 10.1, as data.

Source: IBM Spectrum LSF Command Reference, "bsub", "Options"; -nnodes and its like: the CSM integration.
"""

from __future__ import annotations

_FLAGS = "ar B datachk H hl I Ip Is IS ISp ISs IX K N Nd Ne r rn ti tty ul x XF Zs"
_VALUES = (
    "a alloc_flags app b C c clusters cn_cu cn_mem core_isolation csm cwd D data datagrp E Ep e env eo eptl ext"
    " extsched F f freq G g gpu hostfile i is J Jd jobaff jsdl jsdl_strict jsm json k L Lp ln_mem ln_slots M m mig"
    " n network nnodes notify o oo outdir P p pack ptl Q q R rcacct rnc S s sla smt sp stage step_cgroup T t U u v"
    " W We w wa wt yaml"
)
FLAGS = frozenset(_FLAGS.split())
VALUES = frozenset(_VALUES.split())
# The field that a text goes to as it stands.
PLAIN = {"U": "reservation", "Jd": "comment", "m": "hosts", "cwd": "workdir", "L": "shell", "P": "account"}
# Whole numbers, perhaps with a unit; they go on as they are.
LIMITS = frozenset("CDFSTpv")
# Those of which a script may have several.
SEVERAL = frozenset({"f", "R"})
# Attached values (`-n4`, `-M40960`): the longest of these that fits.
LENGTHS = tuple(sorted({len(name) for name in VALUES}, reverse=True))
