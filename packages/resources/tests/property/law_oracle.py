"""A pool, naively: plain dicts and sets, linear scans, nothing shared with the package under test.

What it holds is what was granted, as ids and numbers; what is free is worked out anew at each question.
"""

AMOUNTS = ("cores", "threads", "memory", "gpus", "disk", "slots")  # canonical order


class Host:
    """One host. ids as sets, gpus as {id: type}, amounts as numbers; None: it has no such kind."""

    def __init__(self, name, *, cores=None, threads=None, memory=None, gpus=None, disk=None, tags=(), slots=None):
        self.name, self.up = name, True
        self.total = {"cores": cores, "threads": threads, "memory": memory, "gpus": gpus, "disk": disk, "slots": slots}
        self.tags = set(tags)
        self.held = []
        self.core_of = {}
        if cores and threads:
            ids = sorted(cores)
            self.core_of = {thread: ids[at % len(ids)] for at, thread in enumerate(sorted(threads))}

    def free(self, kind):
        """What is free: a set of ids, {id: type} or a number; None where the host has no such kind."""
        total = self.total[kind]
        if total is None:
            return None
        if kind in ("memory", "disk", "slots"):
            return total - sum(grant.get(kind, 0) for grant in self.held)
        taken = {one for grant in self.held for one in grant.get(kind, ())}
        if kind == "cores":
            taken |= {self.core_of[t] for grant in self.held for t in grant.get("threads", ()) if t in self.core_of}
        if kind == "threads":
            cores = {core for grant in self.held for core in grant.get("cores", ())}
            taken |= {thread for thread, core in self.core_of.items() if core in cores}
        return {i: t for i, t in total.items() if i not in taken} if kind == "gpus" else total - taken

    def left(self, kind):
        free = self.free(kind)
        return free if isinstance(free, int) else len(free or ())

    def fits(self, need, tasks):
        if not need.get("tags", set()) <= self.tags:
            return False
        for kind in AMOUNTS:
            amount = need.get(kind)
            if amount is None:
                continue
            if self.total[kind] is None:
                return False
            if kind == "gpus":
                free = self.free("gpus")
                for name, n in amount.items():
                    if len([i for i, own in free.items() if name in ("", own)]) < n * tasks:
                        return False
            elif self.left(kind) < amount * tasks:
                return False
        return True


class Oracle:
    def __init__(self, hosts, licenses, policy):
        self.hosts, self.licenses, self.policy = hosts, licenses, policy
        self.used = dict.fromkeys(licenses, 0)

    def empty(self):
        """The same pool with nothing running and every host up."""
        hosts = []
        for host in self.hosts:
            twin = Host(host.name, tags=host.tags, **host.total)
            hosts.append(twin)
        return Oracle(hosts, self.licenses, self.policy)

    def choose(self, need):
        """[(host number, tasks)] in host order, or None."""
        if need.get("cores") is not None and need.get("threads") is not None:
            return None
        if need.get("licenses") and not self.licenses:
            return None  # a kind that is not there at all is refused, none of it too
        for name, n in need.get("licenses", {}).items():
            if n > self.licenses.get(name, 0) - self.used.get(name, 0):
                return None
        nodes, tasks = need.get("nodes"), need.get("tasks")
        if tasks is not None and nodes is not None:
            if nodes > tasks:
                return None
            wanted = sorted((tasks // nodes + (at < tasks % nodes) for at in range(nodes)), reverse=True)
            return self._each(need, wanted)
        if tasks is None:
            return self._each(need, [1] * (nodes or 1))
        if tasks == 1:
            return self._each(need, [1])
        chosen, left = [], tasks
        for at in self._order(need, 1):
            here = 0
            while here < left and self.hosts[at].fits(need, here + 1):
                here += 1
            chosen.append((at, here))
            left -= here
            if not left:
                return sorted(chosen)
        return None

    def _each(self, need, wanted):
        """One host for each number of tasks, the larger numbers first."""
        chosen = []
        for tasks in wanted:
            free = [at for at in self._order(need, tasks) if at not in [host for host, _ in chosen]]
            if not free:
                return None
            chosen.append((free[0], tasks))
        return sorted(chosen)

    def _order(self, need, tasks):
        """The hosts that fit so many tasks, the one that the policy prefers first."""
        fitting = [at for at, host in enumerate(self.hosts) if host.up and host.fits(need, tasks)]
        if self.policy == "best-fit":
            kinds = [kind for kind in AMOUNTS if need.get(kind) is not None]
            fitting.sort(key=lambda at: [*(self.hosts[at].left(kind) for kind in kinds), at])
        return fitting

    def stat(self):
        made = {"hosts": (sum(host.up for host in self.hosts), len(self.hosts))}
        for kind in AMOUNTS:
            have = [host for host in self.hosts if host.total[kind] is not None]
            if have:
                total = sum(h.total[kind] if isinstance(h.total[kind], int) else len(h.total[kind]) for h in have)
                made[kind] = (sum(host.left(kind) for host in have), total)
        if self.licenses:
            total = sum(self.licenses.values())
            made["licenses"] = (total - sum(self.used.values()), total)
        return made
