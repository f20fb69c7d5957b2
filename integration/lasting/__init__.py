"""A lasting load: ensembles and bursts on throwaway engines, while all of it is killed and started again at random.

`nox -s lasting -- --minutes 60 --seed N`. What really ran is known from files that the jobs write themselves, one line
when they begin and one when they end; the journals of the runs are held against them.
"""
