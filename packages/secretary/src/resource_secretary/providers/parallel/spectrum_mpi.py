"""IBM Spectrum MPI: an Open MPI of IBM's, told by its own library and by what its `ompi_info` says."""

from __future__ import annotations

from resource_secretary.errors import OutputError
from resource_secretary.providers import Absent, Active, BaseProvider, Unreachable, secretary_tool
from resource_secretary.providers._paths import folder_of, real
from resource_secretary.providers.parallel._mpi import Build, Launch, Mpi, Transports, mpirun_is
from resource_secretary.providers.parallel._openmpi_text import OmpiInfo, read_ompi_info
from resource_secretary.providers.parallel._spectrum import SPECTRUM, has_own_library

_ROOTS = ("/opt/ibm/spectrum_mpi",)  # IBM Spectrum MPI 10.4 User's Guide, "Installing"


class SpectrumMpiProvider(BaseProvider):
    category = "parallel"
    name = "spectrum-mpi"
    description = "IBM Spectrum MPI: version, compilers, networks, and how programs are started with it."
    fresh_for = 3600.0
    variables = ("MPI_ROOT", "LD_LIBRARY_PATH")

    def probe(self) -> Active[Mpi] | Absent | Unreachable:
        root = self._root()
        if root is None:
            return Absent("libmpi_ibm.so beside ompi_info or mpirun of PATH, in $MPI_ROOT or in /opt/ibm/spectrum_mpi")
        command = self._ompi_info(root)
        if command is None:
            return Unreachable(f"{root}/bin/ompi_info", "it is not there, though the library is")
        answer = self.system.run(command, "--parsable")
        if not answer.ok:
            return answer.unreachable()
        info = read_ompi_info(answer.stdout)
        if SPECTRUM not in info.package:
            return Absent(f"an ompi_info of {SPECTRUM}: {command} says it is of {info.package}")
        launcher = self.system.which(f"{root}/bin/mpirun")
        return Active(Mpi(info.version, f"{root}/bin", launcher, mpirun_is(self.system, launcher, f"{root}/bin")))

    @secretary_tool
    def build(self) -> Build:
        """How this Spectrum MPI was built: version, prefix, compilers, configure options."""
        info = self._info()
        return Build(info.version, info.released, info.prefix, "", info.compilers, info.configure)

    @secretary_tool
    def transports(self) -> Transports:
        """Which networks its messages can go over, and whether it takes buffers in CUDA memory."""
        root, info = self._root(), self._info()
        # User's Guide, "Running programs that use CUDA": `-gpu` preloads this library.
        hook = any(self.system.exists(f"{root}/lib/pami_port/{name}") for name in ("libpami_cudahook.so",))
        hook = hook or self.system.exists(f"{root}/lib/libpami_cudahook.so")
        reason = "libpami_cudahook.so is there: start with -gpu" if hook else "no libpami_cudahook.so found"
        return Transports(info.networks, True if hook else None, None, reason)

    @secretary_tool
    def launch(self) -> Launch:
        """How to start programs with it: jsrun under IBM's Job Step Manager, else its own mpirun."""
        root, info = self._root(), self._info()
        launcher = self.system.which(f"{root}/bin/mpirun")
        commands = ["jsrun -n TASKS PROGRAM"] if self.system.which("jsrun") else []
        own = mpirun_is(self.system, launcher, f"{root}/bin")
        if launcher:
            commands.append(f"{'mpirun' if own else launcher} -np TASKS PROGRAM")
        return Launch(tuple(commands), launcher, own, info.managers, info.pmi, "-gpu (jsrun: --smpiargs=-gpu) for CUDA")

    def _root(self) -> str | None:
        """The folder that it is installed in: where its own library is."""
        folders = [self.system.environ.get("MPI_ROOT", "")]
        for name in ("ompi_info", "mpirun"):
            found = self.system.which(name)
            folders.append(folder_of(folder_of(real(self.system, found))) if found else "")
        for folder in (*folders, *_ROOTS):
            if folder.startswith("/") and has_own_library(self.system, folder):
                return folder.rstrip("/")
        return None

    def _ompi_info(self, root: str) -> str | None:
        return self.system.which(f"{root}/bin/ompi_info")

    def _info(self) -> OmpiInfo:
        root = self._root()
        command = self._ompi_info(root) if root else None
        if command is None:
            raise OutputError(SPECTRUM, "", "its ompi_info is gone")
        return read_ompi_info(self.system.run(command, "--parsable").text())
