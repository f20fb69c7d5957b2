"""What a rented machine does first: arm its own end, then join the lead; no secret is in it."""

from __future__ import annotations

import base64
import os
import pwd
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from shlex import quote
from typing import Any

from fluxburst.errors import ConfigurationError, ParameterError
from fluxburst.lead import CERTIFICATE, Lead, LeadError
from fluxburst.model import Burst

FOLDER = "/etc/flux-burst"
_HOST = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9.-]{0,61}[A-Za-z0-9])?")
_USER = re.compile(r"[a-z_][a-z0-9_-]{0,30}")

# Arms the end in two ways, neither of which waits for the other or for anything to be installed: a process that
# switches the machine off, later and by force, and a timer of systemd's. Both work at early boot, where `shutdown`
# does not: it asks a service that may not have been started.
_LEASE = """\
deadline={deadline}
left=$((deadline - $(date +%s)))
[ "$left" -gt 0 ] || left=0
setsid sh -c 'sleep "$1"; poweroff -f' lease "$((left + 30))" </dev/null >/dev/null 2>&1 &
systemd-run --no-block --unit=flux-burst-lease --on-active="$left" --timer-property=DefaultDependencies=no \\
    --timer-property=AccuracySec=1s systemctl poweroff </dev/null || true
"""
# The third, for a machine that is up: it tells whoever is logged in.
_SHUTDOWN = """\
shutdown -h +"$((left / 60))" </dev/null || true
"""

_JOIN = """\
say() {{ echo "flux-burst: $*"; }}
end() {{
    status=$?
    trap - EXIT
    say "{name}: over, with status $status"
{over}
}}
trap end EXIT
set -euo pipefail
umask 077
hosts=({hosts})
{index}
case "$index" in '' | *[!0-9]*) say "this machine's number is unknown: '$index'"; exit 1 ;; esac
host=${{hosts[$index]}}
say "{name}: joins as $host"
user=$(getent passwd {uid} | cut -d: -f1) || true
if [ -z "$user" ]; then
    user={user}
    useradd --create-home --uid {uid} "$user"
fi
install -d -m 0700 {folder}
{files}
again() {{
    for wait in 2 4 8 16 32 0; do
        "$@" && return
        sleep "$wait"
    done
    say "no certificate could be fetched"
    return 1
}}
secret() {{
{secret}
}}
again secret
[ -s {certificate} ] || {{ say "the certificate is empty"; exit 1; }}
chmod 0600 {certificate}
chown -R "$user" {folder}
{setup}
home=$(getent passwd "$user" | cut -d: -f6)
cd "${{home:-/}}"
runuser -u "$user" -- env HOME="$home" USER="$user" LOGNAME="$user" {broker}
"""


def join_script(
    lead: Lead,
    burst: Burst,
    *,
    index: str,
    secret: str,
    over: str,
    user: str | None = None,
    setup: Path | None = None,
    folder: str = FOLDER,
) -> str:
    """Bash, to be run as root, that joins the lead as the host whose number is the machine's, until that ends.

    index: bash that sets `index`. secret: bash that writes the certificate to `$certificate`. over: bash for when
    the broker has ended or anything has failed. user: the name of the broker's account where the image has none
    with the number of the lead's. setup: a file of bash that is run before the broker; everybody on the machine can
    read it. Raises ConfigurationError.
    """
    for host in burst.hosts:
        if not _HOST.fullmatch(host):
            raise ConfigurationError(f"{host!r} is no host name")
    uid, name = account(lead, user)
    certificate = f"{folder}/{CERTIFICATE}"
    try:
        parts = [_written(f"{folder}/{file}", text.encode()) for file, text in lead.files(folder).items()]
        broker = _broker(lead, burst, folder)
    except LeadError as error:
        raise ConfigurationError(str(error)) from None
    run = ""
    if setup is not None:
        try:
            parts.append(_written(f"{folder}/setup", setup.read_bytes()))
        except OSError as error:
            raise ConfigurationError(f"setup: {setup}: {error.strerror or error}") from None
        run = f". {quote(folder + '/setup')}"
    return f"certificate={quote(certificate)}\n" + _JOIN.format(
        name=burst.name,
        over=_indented(over),
        hosts=" ".join(map(quote, burst.hosts)),
        index=index,
        uid=uid,
        user=quote(name),
        folder=quote(folder),
        files="\n".join(parts),
        secret=_indented(secret),
        certificate='"$certificate"',
        setup=run,
        broker=broker,
    )


def _broker(lead: Lead, burst: Burst, folder: str) -> str:
    """The command of a broker, whose name is in `$host`; every host must be a slot."""
    for host in burst.hosts:
        lead.rank(host)
    first = f"-Shostname={burst.hosts[0]}"
    command = lead.broker(burst.hosts[0], folder=folder)
    return " ".join('-Shostname="$host"' if part == first else quote(part) for part in command)


def lease(deadline: float, *, early: bool) -> str:
    """POSIX shell that has the machine switch itself off at a deadline, seconds since the epoch."""
    return _LEASE.format(deadline=int(deadline)) + ("" if early else _SHUTDOWN)


def account(lead: Lead, user: str | None) -> tuple[int, str]:
    """(number, name) of the account of the lead's brokers: all brokers of an instance are of one user."""
    try:
        uid = os.stat(lead.folder).st_uid  # noqa: PTH116 - one call, one kind of error
    except OSError as error:
        raise ConfigurationError(f"{lead.folder}: {error.strerror or error}") from None
    if not user:
        try:
            user = pwd.getpwuid(uid).pw_name
        except KeyError:
            user = "flux"
    if not _USER.fullmatch(user):
        raise ConfigurationError(f"user: {user!r} is no name of an account")
    return uid, user


def fetched(secret: str, region: str | None = None) -> str:
    """Bash that writes the certificate to `$certificate`, from where `secret` says; ConfigurationError if nowhere.

    `file:PATH` is a file that the image, or a file system that it mounts, has already.
    """
    kind, _, name = secret.partition(":")
    where = f" --region {quote(region)}" if region else ""
    if kind == "file" and name.startswith("/"):
        return f'cp -- {quote(name)} "$certificate"'
    if kind == "ssm" and re.fullmatch(r"[A-Za-z0-9/_.:-]+", name) and not name.startswith("-"):
        return (
            f"aws ssm get-parameter{where} --name {quote(name)} --with-decryption \\\n"
            '    --query Parameter.Value --output text >"$certificate"'
        )
    if kind == "secretsmanager" and re.fullmatch(r"[A-Za-z0-9/_.:+=@-]+", name) and not name.startswith("-"):
        return (
            f"aws secretsmanager get-secret-value{where} --secret-id {quote(name)} \\\n"
            '    --query SecretString --output text >"$certificate"'
        )
    if kind == "secretmanager" and re.fullmatch(r"projects/[a-z0-9:.-]+/secrets/[A-Za-z0-9_-]+", name):
        return GOOGLE_FETCH.format(name=name)
    raise ConfigurationError(
        f"secret: {secret[:60]!r} is none of file:/PATH, ssm:NAME, secretsmanager:NAME (AWS), "
        "secretmanager:projects/PROJECT/secrets/NAME (Google)"
    )


def check_parameters(params: Any, *, foreign: Mapping[str, str], access: str) -> None:
    """What every cloud's parameters must be. Raises ParameterError.

    foreign: kinds of secrets that this cloud does not have, and what to say then. access: the parameter that lets
    machines read a secret.
    """
    try:
        fetched(params.secret)
    except ConfigurationError as error:
        raise ParameterError(str(error)) from None
    kind = params.secret.partition(":")[0]
    if kind in foreign:
        raise ParameterError(foreign[kind], "secret")
    if kind != "file" and not getattr(params, access):
        raise ParameterError(f"is needed for a secret of {kind}", access)
    if params.max_nodes < 0 or (params.max_price is not None and params.max_price <= 0):
        raise ParameterError("max_nodes is 0 or more, max_price over 0")


# Tokens go to curl by its standard input: other users of a machine can read the arguments of a command.
GOOGLE_CALL = """\
google() {{
    token=$(curl -fsS --retry 5 -H 'Metadata-Flavor: Google' \\
        {metadata}/instance/service-accounts/default/token |
        python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])') || return
    printf 'header = "Authorization: Bearer %s"\\n' "$token" | curl -fsS --config - "$@"
}}
"""
GOOGLE_FETCH = (
    "google https://secretmanager.googleapis.com/v1/{name}/versions/latest:access |\n"
    "    python3 -c 'import base64, json, sys; "
    'sys.stdout.buffer.write(base64.b64decode(json.load(sys.stdin)["payload"]["data"]))\' >"$certificate"'
)


def _written(path: str, data: bytes) -> str:
    return f"base64 -d >{quote(path)} <<'END'\n{base64.encodebytes(data).decode()}END"


def _indented(text: str) -> str:
    return "\n".join(f"    {line}" for line in text.strip("\n").splitlines())


def parts(kinds: Sequence[tuple[str, str]]) -> bytes:
    """User data of several parts, as cloud-init reads it: (content type below text/, text). No time or chance in it."""
    mark = "==flux-burst=="
    lines = ["MIME-Version: 1.0", f'Content-Type: multipart/mixed; boundary="{mark}"', ""]
    for kind, text in kinds:
        lines += [f"--{mark}", f'Content-Type: text/{kind}; charset="utf-8"', "", text]
    return "\n".join([*lines, f"--{mark}--", ""]).encode()
