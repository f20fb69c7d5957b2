"""Bodies that one scheduler takes and another refuses: mended and reported, or refused before anything is written."""

from __future__ import annotations

import pytest

from jobspec.convert import convert
from jobspec.errors import JobspecError
from jobspec.profile import Profile
from jobspec.readers import read

PBS = "#!/bin/bash\n#PBS -l select=2:ncpus=4:mpiprocs=4\nhostname\n"


@pytest.mark.parametrize("text", [PBS.replace("\n", "\r\n"), PBS.replace("hostname\n", "hostname\r\n")])
def test_dos_line_breaks_are_taken_out_for_sbatch(text):
    result = convert(text, read(text, "pbspro"), "slurm")
    [file] = result.files
    assert "\r" not in file.text
    assert read(file.text, "slurm").accepted
    assert [entry.fate for entry in result.entries if "DOS line breaks" in entry.why] == ["approximate"]


@pytest.mark.parametrize(
    ("text", "target", "why"),
    [
        (PBS + "\0", "slurm", "holds a NUL character"),
        (PBS + "\0", "lsf", "holds a NUL character"),
        (PBS.replace("bash", "b\udca7sh"), "flux", "the first line is no UTF-8"),
        (PBS + "\udca7", "flux", "line 2 of the body is no UTF-8"),
        ("#!/bin/sh\n#SBATCH -n 1\n# nothing else\n", "lsf", "no command"),
    ],
)
def test_what_a_target_never_takes_is_refused(text, target, why):
    with pytest.raises(JobspecError, match=why):
        convert(text, read(text, "slurm" if "SBATCH" in text else "pbspro"), target)


def test_features_that_mean_something_else_to_grid_engine():
    """complex(5): cpu and mem are loads, and gpu=true would be a request for a GPU."""
    text = "#!/bin/sh\n#SBATCH --constraint=cpu&gpu&haswell -A a:b\nhostname\n"
    result = convert(text, read(text), "gridengine")
    [file] = result.files
    assert "#$ -l haswell=true\n" in file.text
    assert "cpu" not in file.text
    assert "gpu" not in file.text
    assert "#$ -A" not in file.text
    assert {entry.fate for entry in result.entries if entry.text.startswith(("-A", "--constraint"))} == {"dropped"}
    assert read(file.text, "gridengine").accepted
    mapped = convert(text, read(text), "gridengine", Profile(constraints={"cpu": "node_type=cpu", "gpu": ""}))
    assert "#$ -l node_type=cpu\n" in mapped.files[0].text
