"""What API servers, pods and Jobs say, as data."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fluxburst.burstables import _minicluster as objects
from fluxburst.burstables import _pods as pods
from fluxburst.burstables._refusals import absent, translate
from fluxburst.errors import (
    AuthenticationError,
    ConfigurationError,
    ProviderError,
    QuotaError,
    UncertainError,
)


class Answer(Exception):
    """As the client's ApiException: status, reason and body."""

    def __init__(self, status: int, message: str = "", **details: Any) -> None:
        self.status, self.reason = status, "Reason"
        self.body = json.dumps({"message": message, "details": details})
        super().__init__(f"headers: Bearer secret-token {self.body}")


TERMINATING = [{"reason": "NamespaceTerminating", "message": "namespace n is being terminated"}]


@pytest.mark.parametrize(
    ("answer", "kind"),
    [
        (Answer(401, "Unauthorized"), AuthenticationError),
        (Answer(403, 'pods is forbidden: User "u" cannot list resource "pods"'), AuthenticationError),
        (Answer(403, "forbidden: exceeded quota: none, requested: pods=1"), QuotaError),
        (Answer(403, "unable to create new content in namespace n", causes=TERMINATING), ConfigurationError),
        (Answer(403, 'admission webhook "x" denied the request'), ConfigurationError),
        (Answer(404, "the server could not find the requested resource"), ConfigurationError),
        (Answer(404, 'namespaces "n" not found', name="n", kind="namespaces"), ConfigurationError),
        (Answer(405, "no"), ConfigurationError),
        (Answer(422, "invalid", causes=[{"field": "spec.size", "message": "no number"}]), ConfigurationError),
        (Answer(429, "too many"), UncertainError),
        (Answer(500, "etcd"), UncertainError),
        (Answer(503, "shutting down"), UncertainError),
        (Answer(504, "timeout"), UncertainError),
        (ConnectionResetError("reset"), UncertainError),
        (TimeoutError(), UncertainError),
        (json.JSONDecodeError("cut", "{", 0), UncertainError),
        (TypeError("no such argument"), ConfigurationError),
    ],
)
def test_kinds_of_failure(answer: Exception, kind: type[ProviderError]) -> None:
    made = translate(answer, "asking")
    assert type(made) is kind
    assert str(made).startswith("asking: ")
    assert "\n" not in str(made)
    assert "secret-token" not in str(made)


def test_what_is_absent() -> None:
    assert absent(Answer(404, name="x", kind="miniclusters"))
    assert not absent(Answer(404))  # no such resource at all
    assert not absent(Answer(500, name="x"))


def test_a_field_is_named_but_no_value_of_a_secret() -> None:
    answer = Answer(422, "Invalid: key", causes=[{"field": "data[x]", "message": "Invalid value: key"}])
    assert "Invalid value: key" in str(translate(answer, "asking"))
    assert "key" not in str(translate(answer, "asking", secret=True))
    assert "key" not in str(translate(Answer(400, "bad key"), "asking", secret=True))


@pytest.mark.parametrize(
    ("pod", "number"),
    [
        ({"annotations": {"batch.kubernetes.io/job-completion-index": "3"}}, 3),
        ({"labels": {"job-index": "0"}}, 0),
        ({"labels": {"batch.kubernetes.io/job-completion-index": "12"}}, 12),
        ({}, 7),
    ],
)
def test_the_number_of_a_pod(pod: dict[str, Any], number: int) -> None:
    assert pods.index({"metadata": pod, "spec": {"hostname": "burst-a-b-7"}}) == number
    assert pods.index({"metadata": {}}) is None


@pytest.mark.parametrize(
    ("status", "taken"),
    [
        ({"reason": "Evicted"}, True),
        ({"reason": "DeadlineExceeded"}, False),
        ({"conditions": [{"type": "DisruptionTarget", "status": "True", "reason": "PreemptionByScheduler"}]}, True),
        ({"conditions": [{"type": "Ready", "status": "True", "reason": "PreemptionByScheduler"}]}, False),
        ({}, False),
    ],
)
def test_what_the_cluster_took_back(status: dict[str, Any], taken: bool) -> None:
    assert pods.taken({"metadata": {}, "status": status}) is taken


@pytest.mark.parametrize("value", ["", "$", "$$", "$(A)", "$$(A)", "a$b$", "$$$(A)$"])
def test_values_are_taken_literally(value: str) -> None:
    assert expanded(objects.literal(value)) == value


def expanded(text: str) -> str:
    """v1 EnvVar, `value`: `$(NAME)` is a reference, `$$` is `$`, any other `$` is itself."""
    made, at = "", 0
    while at < len(text):
        if text.startswith("$$", at):
            made, at = made + "$", at + 2
        elif text.startswith("$(", at) and ")" in text[at:]:
            at = text.index(")", at) + 1
        else:
            made, at = made + text[at], at + 1
    return made


@pytest.mark.parametrize(
    ("text", "made"),
    [
        ("gpu", {"key": "gpu", "operator": "Exists"}),
        ("gpu:NoSchedule", {"key": "gpu", "operator": "Exists", "effect": "NoSchedule"}),
        ("a/b=c:NoExecute", {"key": "a/b", "operator": "Equal", "value": "c", "effect": "NoExecute"}),
    ],
)
def test_tolerations(text: str, made: dict[str, str]) -> None:
    assert objects.toleration(text) == made
