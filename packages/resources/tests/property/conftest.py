"""Laws: strategies and the oracle are modules of this folder, loaded by path; profiles of hypothesis.

HYPOTHESIS_PROFILE=thorough runs every law with 20 times as many examples (minutes instead of seconds);
HYPOTHESIS_PROFILE=first shows the first failure as it is found, without the minutes that making it small takes.
"""

import importlib.util
import os
import sys
from pathlib import Path

import pytest
from hypothesis import HealthCheck, Phase, settings

HERE = Path(__file__).parent
KINDS = HERE.parent / "data" / "kinds"

settings.register_profile(
    "quick",
    deadline=None,
    max_examples=50,
    suppress_health_check=[HealthCheck.too_slow],
    # The same examples in every run of continuous integration; new ones at each run by hand.
    derandomize=bool(os.environ.get("CI")),
)
settings.register_profile("thorough", settings.get_profile("quick"), max_examples=1000, derandomize=False)
settings.register_profile("first", settings.get_profile("quick"), phases=[Phase.reuse, Phase.generate])
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))


def _load(name):
    if name not in sys.modules:
        spec = importlib.util.spec_from_file_location(name, HERE / f"{name}.py")
        module = sys.modules[name] = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)


_load("law_oracle")
_load("law_strategies")


@pytest.fixture(scope="module")
def kinds():
    """The third-party kinds of tests/data/kinds, found as if they were installed."""
    from resources.kinds import REGISTRY

    sys.path.insert(0, str(KINDS))
    REGISTRY.refresh()
    yield {name: REGISTRY.load(name) for name in ("slots", "lanes", "rate")}
    sys.path.remove(str(KINDS))
    for name in ("resources_slots", "resources_lanes", "resources_rate"):
        sys.modules.pop(name, None)
    REGISTRY.refresh()
