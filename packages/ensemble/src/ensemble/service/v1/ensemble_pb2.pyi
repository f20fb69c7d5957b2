from google.protobuf.internal import containers as _containers
from google.protobuf.internal import enum_type_wrapper as _enum_type_wrapper
from google.protobuf import descriptor as _descriptor
from google.protobuf import message as _message
from collections.abc import Iterable as _Iterable, Mapping as _Mapping
from typing import ClassVar as _ClassVar, Optional as _Optional, Union as _Union

DESCRIPTOR: _descriptor.FileDescriptor

class SubmitRequest(_message.Message):
    __slots__ = ("text", "name", "cluster", "weight", "request_id")
    TEXT_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    REQUEST_ID_FIELD_NUMBER: _ClassVar[int]
    text: str
    name: str
    cluster: str
    weight: int
    request_id: str
    def __init__(self, text: _Optional[str] = ..., name: _Optional[str] = ..., cluster: _Optional[str] = ..., weight: _Optional[int] = ..., request_id: _Optional[str] = ...) -> None: ...

class SubmitReply(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: str
    def __init__(self, run: _Optional[str] = ...) -> None: ...

class ListRequest(_message.Message):
    __slots__ = ("all",)
    ALL_FIELD_NUMBER: _ClassVar[int]
    all: bool
    def __init__(self, all: bool = ...) -> None: ...

class ListReply(_message.Message):
    __slots__ = ("runs",)
    RUNS_FIELD_NUMBER: _ClassVar[int]
    runs: _containers.RepeatedCompositeFieldContainer[Run]
    def __init__(self, runs: _Optional[_Iterable[_Union[Run, _Mapping]]] = ...) -> None: ...

class Run(_message.Message):
    __slots__ = ("run", "name", "cluster", "weight", "state", "why", "submitted", "ended", "met", "held", "in_queue")
    RUN_FIELD_NUMBER: _ClassVar[int]
    NAME_FIELD_NUMBER: _ClassVar[int]
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    WEIGHT_FIELD_NUMBER: _ClassVar[int]
    STATE_FIELD_NUMBER: _ClassVar[int]
    WHY_FIELD_NUMBER: _ClassVar[int]
    SUBMITTED_FIELD_NUMBER: _ClassVar[int]
    ENDED_FIELD_NUMBER: _ClassVar[int]
    MET_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    IN_QUEUE_FIELD_NUMBER: _ClassVar[int]
    run: str
    name: str
    cluster: str
    weight: int
    state: str
    why: str
    submitted: float
    ended: float
    met: bool
    held: int
    in_queue: int
    def __init__(self, run: _Optional[str] = ..., name: _Optional[str] = ..., cluster: _Optional[str] = ..., weight: _Optional[int] = ..., state: _Optional[str] = ..., why: _Optional[str] = ..., submitted: _Optional[float] = ..., ended: _Optional[float] = ..., met: bool = ..., held: _Optional[int] = ..., in_queue: _Optional[int] = ...) -> None: ...

class StatusRequest(_message.Message):
    __slots__ = ("run",)
    RUN_FIELD_NUMBER: _ClassVar[int]
    run: str
    def __init__(self, run: _Optional[str] = ...) -> None: ...

class StatusReply(_message.Message):
    __slots__ = ("run", "json")
    RUN_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    run: Run
    json: str
    def __init__(self, run: _Optional[_Union[Run, _Mapping]] = ..., json: _Optional[str] = ...) -> None: ...

class CancelRequest(_message.Message):
    __slots__ = ("run", "names", "abandon")
    RUN_FIELD_NUMBER: _ClassVar[int]
    NAMES_FIELD_NUMBER: _ClassVar[int]
    ABANDON_FIELD_NUMBER: _ClassVar[int]
    run: str
    names: _containers.RepeatedScalarFieldContainer[str]
    abandon: bool
    def __init__(self, run: _Optional[str] = ..., names: _Optional[_Iterable[str]] = ..., abandon: bool = ...) -> None: ...

class CancelReply(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class WatchRequest(_message.Message):
    __slots__ = ("run", "after")
    RUN_FIELD_NUMBER: _ClassVar[int]
    AFTER_FIELD_NUMBER: _ClassVar[int]
    run: str
    after: str
    def __init__(self, run: _Optional[str] = ..., after: _Optional[str] = ...) -> None: ...

class WatchReply(_message.Message):
    __slots__ = ("cursor", "json")
    CURSOR_FIELD_NUMBER: _ClassVar[int]
    JSON_FIELD_NUMBER: _ClassVar[int]
    cursor: str
    json: str
    def __init__(self, cursor: _Optional[str] = ..., json: _Optional[str] = ...) -> None: ...

class ClustersRequest(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class ClustersReply(_message.Message):
    __slots__ = ("clusters",)
    CLUSTERS_FIELD_NUMBER: _ClassVar[int]
    clusters: _containers.RepeatedCompositeFieldContainer[Cluster]
    def __init__(self, clusters: _Optional[_Iterable[_Union[Cluster, _Mapping]]] = ...) -> None: ...

class Cluster(_message.Message):
    __slots__ = ("name", "member", "connected", "since", "capacity", "in_queue", "held", "runs", "host")
    NAME_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    CONNECTED_FIELD_NUMBER: _ClassVar[int]
    SINCE_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    IN_QUEUE_FIELD_NUMBER: _ClassVar[int]
    HELD_FIELD_NUMBER: _ClassVar[int]
    RUNS_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    name: str
    member: str
    connected: bool
    since: float
    capacity: int
    in_queue: int
    held: int
    runs: int
    host: str
    def __init__(self, name: _Optional[str] = ..., member: _Optional[str] = ..., connected: bool = ..., since: _Optional[float] = ..., capacity: _Optional[int] = ..., in_queue: _Optional[int] = ..., held: _Optional[int] = ..., runs: _Optional[int] = ..., host: _Optional[str] = ...) -> None: ...

class AgentMessage(_message.Message):
    __slots__ = ("hello", "events", "answer", "lost")
    HELLO_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    ANSWER_FIELD_NUMBER: _ClassVar[int]
    LOST_FIELD_NUMBER: _ClassVar[int]
    hello: Hello
    events: Events
    answer: Answer
    lost: Lost
    def __init__(self, hello: _Optional[_Union[Hello, _Mapping]] = ..., events: _Optional[_Union[Events, _Mapping]] = ..., answer: _Optional[_Union[Answer, _Mapping]] = ..., lost: _Optional[_Union[Lost, _Mapping]] = ...) -> None: ...

class Hello(_message.Message):
    __slots__ = ("cluster", "identity", "member", "capacity", "version", "host")
    CLUSTER_FIELD_NUMBER: _ClassVar[int]
    IDENTITY_FIELD_NUMBER: _ClassVar[int]
    MEMBER_FIELD_NUMBER: _ClassVar[int]
    CAPACITY_FIELD_NUMBER: _ClassVar[int]
    VERSION_FIELD_NUMBER: _ClassVar[int]
    HOST_FIELD_NUMBER: _ClassVar[int]
    cluster: str
    identity: str
    member: str
    capacity: int
    version: str
    host: str
    def __init__(self, cluster: _Optional[str] = ..., identity: _Optional[str] = ..., member: _Optional[str] = ..., capacity: _Optional[int] = ..., version: _Optional[str] = ..., host: _Optional[str] = ...) -> None: ...

class Events(_message.Message):
    __slots__ = ("run", "session", "events", "calls")
    class CallsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    RUN_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    EVENTS_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    run: str
    session: int
    events: _containers.RepeatedCompositeFieldContainer[JobEvent]
    calls: _containers.ScalarMap[str, int]
    def __init__(self, run: _Optional[str] = ..., session: _Optional[int] = ..., events: _Optional[_Iterable[_Union[JobEvent, _Mapping]]] = ..., calls: _Optional[_Mapping[str, int]] = ...) -> None: ...

class JobEvent(_message.Message):
    __slots__ = ("name", "time", "job", "context", "where")
    NAME_FIELD_NUMBER: _ClassVar[int]
    TIME_FIELD_NUMBER: _ClassVar[int]
    JOB_FIELD_NUMBER: _ClassVar[int]
    CONTEXT_FIELD_NUMBER: _ClassVar[int]
    WHERE_FIELD_NUMBER: _ClassVar[int]
    name: str
    time: float
    job: str
    context: str
    where: str
    def __init__(self, name: _Optional[str] = ..., time: _Optional[float] = ..., job: _Optional[str] = ..., context: _Optional[str] = ..., where: _Optional[str] = ...) -> None: ...

class Lost(_message.Message):
    __slots__ = ("run", "session", "error")
    RUN_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    run: str
    session: int
    error: Error
    def __init__(self, run: _Optional[str] = ..., session: _Optional[int] = ..., error: _Optional[_Union[Error, _Mapping]] = ...) -> None: ...

class Error(_message.Message):
    __slots__ = ("kind", "message")
    class Kind(int, metaclass=_enum_type_wrapper.EnumTypeWrapper):
        __slots__ = ()
        KIND_UNSPECIFIED: _ClassVar[Error.Kind]
        KIND_UNREACHABLE: _ClassVar[Error.Kind]
        KIND_LIMIT: _ClassVar[Error.Kind]
        KIND_REFUSED: _ClassVar[Error.Kind]
    KIND_UNSPECIFIED: Error.Kind
    KIND_UNREACHABLE: Error.Kind
    KIND_LIMIT: Error.Kind
    KIND_REFUSED: Error.Kind
    KIND_FIELD_NUMBER: _ClassVar[int]
    MESSAGE_FIELD_NUMBER: _ClassVar[int]
    kind: Error.Kind
    message: str
    def __init__(self, kind: _Optional[_Union[Error.Kind, str]] = ..., message: _Optional[str] = ...) -> None: ...

class Answer(_message.Message):
    __slots__ = ("id", "more", "error", "absent", "data", "size", "output", "calls")
    class CallsEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: int
        def __init__(self, key: _Optional[str] = ..., value: _Optional[int] = ...) -> None: ...
    ID_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    ERROR_FIELD_NUMBER: _ClassVar[int]
    ABSENT_FIELD_NUMBER: _ClassVar[int]
    DATA_FIELD_NUMBER: _ClassVar[int]
    SIZE_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    CALLS_FIELD_NUMBER: _ClassVar[int]
    id: int
    more: bool
    error: Error
    absent: _containers.RepeatedScalarFieldContainer[str]
    data: bytes
    size: int
    output: str
    calls: _containers.ScalarMap[str, int]
    def __init__(self, id: _Optional[int] = ..., more: bool = ..., error: _Optional[_Union[Error, _Mapping]] = ..., absent: _Optional[_Iterable[str]] = ..., data: _Optional[bytes] = ..., size: _Optional[int] = ..., output: _Optional[str] = ..., calls: _Optional[_Mapping[str, int]] = ...) -> None: ...

class ServerMessage(_message.Message):
    __slots__ = ("welcome", "call")
    WELCOME_FIELD_NUMBER: _ClassVar[int]
    CALL_FIELD_NUMBER: _ClassVar[int]
    welcome: Welcome
    call: Call
    def __init__(self, welcome: _Optional[_Union[Welcome, _Mapping]] = ..., call: _Optional[_Union[Call, _Mapping]] = ...) -> None: ...

class Welcome(_message.Message):
    __slots__ = ("version",)
    VERSION_FIELD_NUMBER: _ClassVar[int]
    version: str
    def __init__(self, version: _Optional[str] = ...) -> None: ...

class Call(_message.Message):
    __slots__ = ("id", "run", "session", "more", "open", "submit", "adopt", "cancel", "resize", "read", "close")
    ID_FIELD_NUMBER: _ClassVar[int]
    RUN_FIELD_NUMBER: _ClassVar[int]
    SESSION_FIELD_NUMBER: _ClassVar[int]
    MORE_FIELD_NUMBER: _ClassVar[int]
    OPEN_FIELD_NUMBER: _ClassVar[int]
    SUBMIT_FIELD_NUMBER: _ClassVar[int]
    ADOPT_FIELD_NUMBER: _ClassVar[int]
    CANCEL_FIELD_NUMBER: _ClassVar[int]
    RESIZE_FIELD_NUMBER: _ClassVar[int]
    READ_FIELD_NUMBER: _ClassVar[int]
    CLOSE_FIELD_NUMBER: _ClassVar[int]
    id: int
    run: str
    session: int
    more: bool
    open: Open
    submit: Submit
    adopt: Adopt
    cancel: CancelJobs
    resize: Resize
    read: Read
    close: Close
    def __init__(self, id: _Optional[int] = ..., run: _Optional[str] = ..., session: _Optional[int] = ..., more: bool = ..., open: _Optional[_Union[Open, _Mapping]] = ..., submit: _Optional[_Union[Submit, _Mapping]] = ..., adopt: _Optional[_Union[Adopt, _Mapping]] = ..., cancel: _Optional[_Union[CancelJobs, _Mapping]] = ..., resize: _Optional[_Union[Resize, _Mapping]] = ..., read: _Optional[_Union[Read, _Mapping]] = ..., close: _Optional[_Union[Close, _Mapping]] = ...) -> None: ...

class Open(_message.Message):
    __slots__ = ()
    def __init__(self) -> None: ...

class Submit(_message.Message):
    __slots__ = ("jobs",)
    JOBS_FIELD_NUMBER: _ClassVar[int]
    jobs: _containers.RepeatedCompositeFieldContainer[Job]
    def __init__(self, jobs: _Optional[_Iterable[_Union[Job, _Mapping]]] = ...) -> None: ...

class Adopt(_message.Message):
    __slots__ = ("known",)
    KNOWN_FIELD_NUMBER: _ClassVar[int]
    known: _containers.RepeatedCompositeFieldContainer[Known]
    def __init__(self, known: _Optional[_Iterable[_Union[Known, _Mapping]]] = ...) -> None: ...

class CancelJobs(_message.Message):
    __slots__ = ("names",)
    NAMES_FIELD_NUMBER: _ClassVar[int]
    names: _containers.RepeatedScalarFieldContainer[str]
    def __init__(self, names: _Optional[_Iterable[str]] = ...) -> None: ...

class Resize(_message.Message):
    __slots__ = ("nodes",)
    NODES_FIELD_NUMBER: _ClassVar[int]
    nodes: int
    def __init__(self, nodes: _Optional[int] = ...) -> None: ...

class Read(_message.Message):
    __slots__ = ("job", "stream", "file", "offset", "limit")
    JOB_FIELD_NUMBER: _ClassVar[int]
    STREAM_FIELD_NUMBER: _ClassVar[int]
    FILE_FIELD_NUMBER: _ClassVar[int]
    OFFSET_FIELD_NUMBER: _ClassVar[int]
    LIMIT_FIELD_NUMBER: _ClassVar[int]
    job: str
    stream: str
    file: str
    offset: int
    limit: int
    def __init__(self, job: _Optional[str] = ..., stream: _Optional[str] = ..., file: _Optional[str] = ..., offset: _Optional[int] = ..., limit: _Optional[int] = ...) -> None: ...

class Close(_message.Message):
    __slots__ = ("leave",)
    LEAVE_FIELD_NUMBER: _ClassVar[int]
    leave: bool
    def __init__(self, leave: bool = ...) -> None: ...

class Job(_message.Message):
    __slots__ = ("name", "token", "avoid", "group", "argv", "nodes", "tasks", "cores", "gpus", "memory", "duration", "workdir", "environment", "stdin", "output", "attributes", "metrics")
    class EnvironmentEntry(_message.Message):
        __slots__ = ("key", "value")
        KEY_FIELD_NUMBER: _ClassVar[int]
        VALUE_FIELD_NUMBER: _ClassVar[int]
        key: str
        value: str
        def __init__(self, key: _Optional[str] = ..., value: _Optional[str] = ...) -> None: ...
    NAME_FIELD_NUMBER: _ClassVar[int]
    TOKEN_FIELD_NUMBER: _ClassVar[int]
    AVOID_FIELD_NUMBER: _ClassVar[int]
    GROUP_FIELD_NUMBER: _ClassVar[int]
    ARGV_FIELD_NUMBER: _ClassVar[int]
    NODES_FIELD_NUMBER: _ClassVar[int]
    TASKS_FIELD_NUMBER: _ClassVar[int]
    CORES_FIELD_NUMBER: _ClassVar[int]
    GPUS_FIELD_NUMBER: _ClassVar[int]
    MEMORY_FIELD_NUMBER: _ClassVar[int]
    DURATION_FIELD_NUMBER: _ClassVar[int]
    WORKDIR_FIELD_NUMBER: _ClassVar[int]
    ENVIRONMENT_FIELD_NUMBER: _ClassVar[int]
    STDIN_FIELD_NUMBER: _ClassVar[int]
    OUTPUT_FIELD_NUMBER: _ClassVar[int]
    ATTRIBUTES_FIELD_NUMBER: _ClassVar[int]
    METRICS_FIELD_NUMBER: _ClassVar[int]
    name: str
    token: str
    avoid: _containers.RepeatedScalarFieldContainer[str]
    group: str
    argv: _containers.RepeatedScalarFieldContainer[str]
    nodes: int
    tasks: int
    cores: int
    gpus: int
    memory: int
    duration: int
    workdir: str
    environment: _containers.ScalarMap[str, str]
    stdin: str
    output: str
    attributes: str
    metrics: bool
    def __init__(self, name: _Optional[str] = ..., token: _Optional[str] = ..., avoid: _Optional[_Iterable[str]] = ..., group: _Optional[str] = ..., argv: _Optional[_Iterable[str]] = ..., nodes: _Optional[int] = ..., tasks: _Optional[int] = ..., cores: _Optional[int] = ..., gpus: _Optional[int] = ..., memory: _Optional[int] = ..., duration: _Optional[int] = ..., workdir: _Optional[str] = ..., environment: _Optional[_Mapping[str, str]] = ..., stdin: _Optional[str] = ..., output: _Optional[str] = ..., attributes: _Optional[str] = ..., metrics: bool = ...) -> None: ...

class Known(_message.Message):
    __slots__ = ("job", "id", "seen")
    JOB_FIELD_NUMBER: _ClassVar[int]
    ID_FIELD_NUMBER: _ClassVar[int]
    SEEN_FIELD_NUMBER: _ClassVar[int]
    job: Job
    id: str
    seen: str
    def __init__(self, job: _Optional[_Union[Job, _Mapping]] = ..., id: _Optional[str] = ..., seen: _Optional[str] = ...) -> None: ...
