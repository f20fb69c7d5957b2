"""Run by `flux python`: what Flux makes of the files that are named on stdin, a JSON string on each line.

A batch script goes through the parser of `flux batch`, and the jobspec of it, or a jobspec (".json"), through the
validator of jobs. One JSON object a line comes back. Nothing of this package is imported here.
"""

import contextlib
import io
import json
import sys

from flux.cli.batch import BatchCmd
from flux.job import validate_jobspec

COMMAND = BatchCmd("flux batch")
for option in COMMAND.plugins.options:
    COMMAND.parser.add_argument(option.name, **option.kwargs)


def batch(name):
    COMMAND.argv = [name]
    COMMAND.script, args = COMMAND.process_script(COMMAND.parser.parse_args([name]))
    return COMMAND.jobspec_create(args).jobspec


def says(name):
    err = io.StringIO()
    try:
        with contextlib.redirect_stderr(err):
            if name.endswith(".json"):
                with open(name) as file:
                    spec = json.load(file)
            else:
                spec = batch(name)
            validate_jobspec(json.dumps(spec), 1)
        spec["attributes"]["system"].pop("files", None)
        return {"accepted": True, "jobspec": spec}
    except SystemExit:
        return {"accepted": False, "why": err.getvalue()}
    except Exception as error:
        return {"accepted": False, "why": f"{type(error).__name__}: {error}"}


for line in sys.stdin:
    print(json.dumps(says(json.loads(line))), flush=True)
