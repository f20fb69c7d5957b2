"""Read the JSON of `docker`, and of `podman` and `nerdctl`, which give the same in places.

Docker Engine API, "SystemInfo", "SystemVersion", "ImageSummary"; podman-info(1), podman-images(1), podman-ps(1).
"""

from __future__ import annotations

from dataclasses import dataclass

from resource_secretary.providers.container._container import Container, Image, Presence
from resource_secretary.reading import Record, each, possible, read_object, read_objects, scaled, strange

_NOT_HERE = ("no such image", "image not known", "no such object", "unable to find image", "no images found")
_NONE = "<none>"
_MACHINES = {"x86_64": "amd64", "aarch64": "arm64"}


@dataclass(frozen=True, slots=True)
class Engine:
    """A Docker engine. rootless: whether it runs without root. limits: what it can limit of memory, swap, CPU time and
    processes. runtimes: OCI runtimes that it knows. cpus, memory (bytes): of its host.
    """

    client: str
    version: str
    context: str | None
    endpoint: str | None
    rootless: bool | None
    storage_driver: str | None
    cgroup_version: str | None
    cgroup_driver: str | None
    runtimes: tuple[str, ...]
    limits: tuple[str, ...]
    security: tuple[str, ...]
    platform: str | None
    cpus: int | None
    memory: int | None
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Versions:
    """client, server: versions, None where there is none of it."""

    client: str | None
    server: str | None
    context: str | None
    podman: bool


@dataclass(frozen=True, slots=True)
class Podman:
    """rootless: whether this user's Podman runs without root. cgroup_version: v1 or v2. images, containers: how many
    there are. limits: control groups' controllers that it may use, so that it can limit memory, pids and so on.
    remote: whether another host runs the containers.
    """

    version: str
    rootless: bool | None
    storage_driver: str | None
    storage_root: str | None
    cgroup_version: str | None
    cgroup_manager: str | None
    limits: tuple[str, ...]
    runtime: str | None
    network: str | None
    seccomp: bool | None
    selinux: bool | None
    apparmor: bool | None
    remote: bool | None
    images: int | None
    containers: int | None


@dataclass(frozen=True, slots=True)
class PodmanVersion:
    """api: of the client. platform: such as linux/amd64. server: of a Podman on another host; null where this runs."""

    version: str
    api: str | None
    platform: str | None
    server: str | None


# Keys of `docker info` that say what may be limited.
_LIMITS = {"MemoryLimit": "memory", "SwapLimit": "swap", "CpuCfsQuota": "cpu", "CPUSet": "cpuset", "PidsLimit": "pids"}


def read_versions(text: str) -> Versions:
    """The versions of `docker version`; a missing server is null there. Raises OutputError."""
    record = read_object("docker version", text)
    client, server = record.part("Client"), record.part("Server")
    # podman prints `APIVersion` and `OsArch` where Docker has `ApiVersion`, `Os` and `Arch`.
    podman = "OsArch" in client.fields or "APIVersion" in client.fields
    parts = server.parts("Components")
    # nerdctl's server is containerd, told as a component.
    name = server.text("Version", default="") or (parts[0].text("Version", default="") if parts else "")
    return Versions(
        client.text("Version", default="") or None, name or None, client.text("Context", default="") or None, podman
    )


def read_engine(text: str, versions: Versions, endpoint: str | None) -> Engine:
    """The engine of `docker info`. Raises OutputError, also where the server is not among what it tells."""
    record = read_object("docker info", text)
    errors = record.texts("ServerErrors")
    if errors:
        raise record.error("; ".join(errors))
    security = record.texts("SecurityOptions")
    try:
        possible(cores=(record.number("NCPU"),), memory=(record.number("MemTotal"),))
    except ValueError as error:
        raise record.error(str(error)) from None
    return Engine(
        client=versions.client or "",
        version=record.text("ServerVersion"),
        context=versions.context,
        endpoint=endpoint,
        rootless=any(one.startswith("name=rootless") for one in security) if security else None,
        storage_driver=record.text("Driver", default="") or None,
        cgroup_version=f"v{record.text('CgroupVersion')}" if record.get("CgroupVersion") else None,
        cgroup_driver=record.text("CgroupDriver", default="") or None,
        runtimes=tuple(sorted(record.part("Runtimes").fields)),
        limits=tuple(name for key, name in _LIMITS.items() if record.flag(key)),
        security=tuple(one.removeprefix("name=") for one in security),
        platform=_platform(record.text("OSType", default=""), record.text("Architecture", default="")),
        cpus=record.number("NCPU"),
        memory=record.number("MemTotal"),
        warnings=record.texts("Warnings"),
    )


def read_images(text: str) -> list[Image]:
    """The images of `docker images --format '{{json .}}'`, one a line. Raises OutputError."""

    def one(record: Record) -> Image:
        repository, tag = record.text("Repository"), record.text("Tag", default=_NONE)
        size = record.text("Size", default="")
        return Image(
            name=repository if tag == _NONE else f"{repository}:{tag}",
            id=record.text("ID", default="") or None,
            size=_size(record, size) if size not in ("", "N/A") else None,
            created=record.text("CreatedAt", default="") or None,
        )

    return each(read_objects("docker images", text), one, lambda reason: Image("", problem=reason))


def read_containers(text: str) -> list[Container]:
    """The containers of `docker ps --format '{{json .}}'`, one a line; State is there since 20.10."""

    def one(record: Record) -> Container:
        return Container(
            name=record.text("Names"),
            id=record.text("ID", default="") or None,
            image=record.text("Image", default="") or None,
            state=record.text("State", "Status", default="") or None,
        )

    return each(read_objects("docker ps", text), one, lambda reason: Container("", problem=reason))


def read_presence(text: str, name: str) -> Presence:
    """The image of `image inspect`, in an array of one. Raises OutputError."""
    found = read_objects("image inspect", text)
    if len(found) != 1 or not found[0].fields:
        raise strange("image inspect", "holds not one image", text)
    record = found[0]
    return Presence(
        name,
        True,
        record.text("Id", "ID"),
        record.number("Size"),
        _platform(record.text("Os", default=""), record.text("Architecture", default="")),
    )


def not_here(said: str) -> bool:
    """Whether an error means that there is no such image, and not that it could not be asked."""
    return any(words in said.lower() for words in _NOT_HERE)


def read_podman_version(text: str) -> PodmanVersion:
    """The versions of `podman version --format json`, of version 3 to 5. Raises OutputError."""
    record = read_object("podman version", text)
    client, server = record.part("Client"), record.part("Server")
    return PodmanVersion(
        version=client.text("Version"),
        api=client.text("APIVersion", default="") or None,
        platform=client.text("OsArch", default="") or None,
        server=server.text("Version", default="") or None,
    )


def read_podman(text: str) -> Podman:
    """The facts of `podman info --format json`, of version 3 to 5. Raises OutputError."""
    record = read_object("podman info", text)
    host, store = record.part("host"), record.part("store")
    security = host.part("security")
    return Podman(
        version=record.part("version").text("Version", "version"),
        rootless=security.flag("rootless") if "rootless" in security.fields else host.flag("rootless"),
        storage_driver=store.text("graphDriverName", "GraphDriverName", default="") or None,
        storage_root=store.text("graphRoot", "GraphRoot", default="") or None,
        cgroup_version=host.text("cgroupVersion", "CgroupVersion", default="") or None,
        cgroup_manager=host.text("cgroupManager", default="") or None,
        limits=host.texts("cgroupControllers"),
        runtime=host.part("ociRuntime", "OCIRuntime").text("name", default="") or None,
        network=host.text("rootlessNetworkCmd", "networkBackend", default="") or None,
        seccomp=security.flag("seccompEnabled"),
        selinux=security.flag("selinuxEnabled"),
        apparmor=security.flag("apparmorEnabled"),
        remote=host.flag("serviceIsRemote"),
        images=store.part("imageStore", "ImageStore").number("number"),
        containers=store.part("containerStore", "ContainerStore").number("number"),
    )


def read_podman_images(text: str) -> list[Image]:
    """The images of `podman images --format json`; one without a name has its id as its name. Raises OutputError."""

    def one(record: Record) -> Image:
        names = record.texts("Names", "names", "RepoTags")
        identity = record.text("Id", "id")
        return Image(
            name=names[0] if names else identity,
            id=identity,
            size=record.number("Size", "size"),
            created=record.text("CreatedAt", default="") or None,
        )

    return each(read_objects("podman images", text or "[]"), one, lambda reason: Image("", problem=reason))


def read_podman_containers(text: str) -> list[Container]:
    """The containers of `podman ps --format json`. Raises OutputError."""

    def one(record: Record) -> Container:
        names = record.texts("Names")
        return Container(
            name=names[0] if names else record.text("Id"),
            id=record.text("Id"),
            image=record.text("Image", default="") or None,
            state=record.text("State", default="") or None,
        )

    return each(read_objects("podman ps", text or "[]"), one, lambda reason: Container("", problem=reason))


def _size(record: Record, text: str) -> int:
    # go-units' HumanSize: decimal units, `5.59MB`. nerdctl writes `5.6 MiB`.
    size = scaled(text.partition(" (")[0], decimal=True)
    if size is None:
        raise record.error(f"Size must be an amount, not {text!r:.40}")
    return size


def _platform(system: str, machine: str) -> str | None:
    """As images name it: the engine tells its own machine by the kernel's name."""
    return f"{system}/{_MACHINES.get(machine, machine)}" if system and machine else None
