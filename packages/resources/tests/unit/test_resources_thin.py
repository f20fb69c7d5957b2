"""`import resources` is thin: the standard library only, and no pools until they are used."""

import subprocess
import sys
from pathlib import Path

import resources

CODE = """
import sys
before = set(sys.modules)
import resources
from resources import Cores, parse
from resources.plugins import Registry
from resources.documents import load_request
load_request("cores=4 memory=8GB")
new = {name.partition(".")[0] for name in set(sys.modules) - before} - {"resources"}
heavy = [name for name in ("resources.pool", "resources.columns", "click") if name in sys.modules]
print(sorted(new - set(sys.stdlib_module_names)), heavy)
"""


def test_nothing_outside_the_standard_library_and_no_pools():
    made = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, check=True)
    assert made.stdout.strip() == "[] []"


def test_every_public_name_is_there():
    for name in resources.__all__:
        assert getattr(resources, name) is not None
    assert set(resources.__all__) <= set(dir(resources))


def test_no_public_name_is_that_of_a_module():
    """Importing `resources.x` would put the module in the place of the public `x`."""
    modules = {path.stem for path in Path(resources.__file__).parent.iterdir()}
    assert not modules.intersection(resources.__all__)
