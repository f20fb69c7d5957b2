"""The ensemble service: a server that drives ensembles on many clusters, through an agent beside each queue.

    client --- Ensembles ---> server <--- Agents --- agent (beside a queue, with a real member)

- The server has an engine, a journal and a runtime for each ensemble, as `ensemble run` has, and a RemoteMember.
- An agent has one real member for each ensemble. It connects to the server, never the other way round.
- `v1/ensemble.proto` is the public interface; everything beside it may change.

Why no acknowledgements are needed: what the server knows for certain is in its journal, and `adopt` hands just that to
the queue, which tells the rest. Events that were under way when anything broke are told again, since the journal lacks
them; events that were told twice are dropped by the engine, which takes each event of a job once. A submission under
way is looked up by its token. So a broken stream, a killed agent and a killed server are one case, and the same
one that every member must master without a network. The one thing that must not happen is that a submission of an
old session still creates jobs after a later session has adopted: an agent opens a run again only when the last
call of the run has returned, and one agent alone, known by its identity, speaks for a cluster.

Importing these modules needs grpcio, but for `ensemble.service.main`: its commands say what to install.
"""

from __future__ import annotations

PROGRAM = "ensemble-server"
PORT = 50651
LARGEST_FILE = 3 << 20  # bytes of an ensemble file
