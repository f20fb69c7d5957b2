"""The embedded queue: a small program that runs jobs on this machine and outlives the run that asked for them.

`python -m ensemble.supervisor FOLDER` is started by `ensemble.members.local` and ends by itself. In FOLDER:

- events.jsonl: what happened, one JSON array a line, written before anything is told or started (`lines`);
- out/: the output of the jobs (`keeping` writes it, `output` reads it);
- key: what makes the name of the socket, and the mark in the environment of each job (`meeting`);
- supervisor.json: which process on which host is at work; absent when none has to be;
- supervisor.log: what went wrong, at most 1 MB.

One process, one thread, no polling. Killed at any moment (SIGKILL), its successor goes on from events.jsonl:
waiting jobs are started, those that run are watched on, those whose end nobody saw are told as lost, and
none is started twice.
"""
