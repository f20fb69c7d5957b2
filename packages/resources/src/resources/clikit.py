"""What the command lines of the five packages share: lazy commands, one-line errors, exit codes, arguments.

Exit codes: 0 yes or done; 1 a negative answer, or a domain error with stdout empty; 2 usage; 70 a bug
(sysexits.h, EX_SOFTWARE), whose traceback `--debug` shows; 130 Ctrl-C.
"""

from __future__ import annotations

import codecs
import errno
import importlib
import io
import json
import os
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

import click
from resources.errors import InputError, ResourcesError

EXIT_BUG = 70
EXIT_INTERRUPTED = 130  # 128 + SIGINT, as shells have it
_KEPT_OUT = {errno.EACCES, errno.EPERM, errno.ENAMETOOLONG, errno.ELOOP}  # of a path: the caller's affair, and no bug
_UNWRITABLE = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO}
LARGEST_DOCUMENT = 64 * 1024 * 1024  # bytes; no request or inventory of a real machine comes near


class LazyGroup(click.Group):
    """A group whose commands are imported when they are called, so that `--help` stays fast.

    lazy: command name -> ("module:attribute", one line of help for the listing).
    errors: the domain errors of the package; each ends the command with one line on stderr and the
        error's `exit_code` (1 where it has none).
    """

    def __init__(
        self,
        *args: Any,
        lazy: Mapping[str, tuple[str, str]] | None = None,
        errors: Sequence[type[Exception]] = (),
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("context_settings", {}).setdefault("help_option_names", ["-h", "--help"])
        super().__init__(*args, **kwargs)
        self.lazy = dict(lazy or {})
        self.errors: tuple[type[Exception], ...] = (ResourcesError, *errors)
        self.params.append(click.Option(["--debug"], is_flag=True, help="Show the traceback of an error."))

    def list_commands(self, ctx: click.Context) -> list[str]:
        return [*self.lazy, *(name for name in super().list_commands(ctx) if name not in self.lazy)]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in self.lazy:
            return super().get_command(ctx, cmd_name)
        module, _, attribute = self.lazy[cmd_name][0].partition(":")
        command = getattr(importlib.import_module(module), attribute)
        if not isinstance(command, click.Command):
            raise TypeError(f"{self.lazy[cmd_name][0]} is no click command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        if args and not args[0].startswith("-") and args[0] not in (known := self.list_commands(ctx)):
            from difflib import get_close_matches

            close = get_close_matches(args[0], known, 1)
            ctx.fail(f"No such command {args[0]!r}." + (f" Did you mean {close[0]!r}?" if close else ""))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        rows = []
        for name in self.list_commands(ctx):
            if name in self.lazy:
                rows.append((name, self.lazy[name][1]))
            elif command := super().get_command(ctx, name):
                rows.append((name, command.get_short_help_str()))
        if rows:
            with formatter.section("Commands"):
                formatter.write_dl(rows)

    def main(self, *args: Any, **kwargs: Any) -> Any:
        if sys.stdout is None:  # closed before we started (`>&-`): nobody wants the answer, only the exit code
            sys.stdout = os.fdopen(os.open(os.devnull, os.O_WRONLY), "w")
        try:
            return super().main(*args, **kwargs)
        except OSError as error:  # of --help and --version; those of a command end in `invoke`
            if not _unwritable(error):
                raise
            _drop_output()
            click.echo(f"can't write the output: {error.strerror}", err=True)
            sys.exit(1)

    def invoke(self, ctx: click.Context) -> Any:
        debug = bool(ctx.params.pop("debug", False))
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="backslashreplace")  # a terminal that is not UTF-8 still gets every answer
        try:
            return super().invoke(ctx)
        except self.errors as error:
            _stop(ctx, error, str(error), int(getattr(error, "exit_code", 1)), debug)
        except BrokenPipeError:
            # The reader of our output has gone (`| head`): nobody is left to be told.
            _drop_output()
            ctx.exit(1)
        except KeyboardInterrupt as error:
            _stop(ctx, error, "interrupted", EXIT_INTERRUPTED, debug)
        except MemoryError as error:
            _stop(ctx, error, "out of memory: the input is too large for this machine", 1, debug)
        except (click.exceptions.Exit, click.ClickException, click.Abort):
            raise
        except Exception as error:  # noqa: BLE001 - the last line of defence says that it is a bug
            if isinstance(error, OSError) and _unwritable(error):
                _drop_output()
                _stop(ctx, error, f"can't write the output: {error.strerror}", 1, debug)
            if said := _callers_affair(error):
                _stop(ctx, error, said, 1, debug)
            text = f"bug: {type(error).__name__}: {error} (please report it; --debug shows where)"
            _stop(ctx, error, text, EXIT_BUG, debug)


def _unwritable(error: OSError) -> bool:
    """Whether it is stdout that could not be written: a full disk, and no file of ours has a part in it."""
    return error.filename is None and error.errno in _UNWRITABLE


def _callers_affair(error: Exception) -> str:
    """What to say of an error that comes from where or how we were called, and is no bug; "" for every other."""
    from resources.units import shown

    if isinstance(error, OSError) and error.filename is not None and error.errno in _KEPT_OUT:
        return f"can't use {shown(os.fsdecode(error.filename))}: {error.strerror}"
    if isinstance(error, FileNotFoundError) and error.filename is None:
        try:
            Path.cwd()
        except FileNotFoundError:
            return "the current directory is gone: change to one that is there"
    if isinstance(error, UnicodeEncodeError):
        if error.encoding == sys.getfilesystemencoding() != "utf-8":
            text = shown(error.object[error.start : error.end])
            return f"names of files can't have {text} in this locale ({error.encoding}): set LC_ALL=C.UTF-8"
        if raw := next((text for text in sys.argv[1:] if not _is_unicode(text)), ""):
            return f"{shown(raw)} is not UTF-8 text"
    return ""


def _is_unicode(text: str) -> bool:
    """Whether the bytes of an argument were UTF-8; those that were not are surrogates in it."""
    return not any("\ud800" <= char <= "\udfff" for char in text)


def _drop_output() -> None:
    """What is still in the buffer of stdout goes nowhere, so that Python does not try again when it ends."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _stop(ctx: click.Context, error: BaseException, text: str, code: int, debug: bool) -> NoReturn:
    if debug:
        traceback.print_exception(error)
    click.echo(f"{ctx.info_name}: {' '.join(text.split())}", err=True)
    ctx.exit(code)


def read_argument(argument: str, what: str = "document") -> str:
    """The text of an argument that is `-` (stdin) or a file. Raises InputError that names the file."""
    try:
        if argument == "-":
            if sys.stdin is None:  # it was closed before we started
                raise InputError(f"can't read the {what} from stdin: it is closed")
            data = sys.stdin.buffer.read(LARGEST_DOCUMENT + 1)
        else:
            with Path(argument).open("rb") as file:
                data = file.read(LARGEST_DOCUMENT + 1)
    except InputError:
        raise
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise InputError(f"can't read the {what} {argument!r}: {why}") from None
    if len(data) > LARGEST_DOCUMENT:
        raise InputError(f"the {what} {argument!r} is larger than {LARGEST_DOCUMENT // 2**20} MiB")
    try:
        return data.decode("utf-8-sig")  # a byte order mark, as some editors leave, is no part of the text
    except UnicodeDecodeError as error:
        why = f"byte {error.start}"
        if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
            why = "it is UTF-16: iconv -f UTF-16 -t UTF-8 converts it"
        raise InputError(f"the {what} {argument!r} is not UTF-8 text ({why})") from None


def one_stdin(*arguments: str | None) -> None:
    """Raise a usage error where more than one argument wants stdin."""
    if sum(argument == "-" for argument in arguments) > 1:
        raise click.UsageError("'-' (stdin) can be given once only")


def json_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """The `--json` option, the same everywhere."""
    return click.option("--json", "as_json", is_flag=True, help="Print JSON.")(command)


def echo_json(value: Any, *, lines: bool = False, file: IO[str] | None = None) -> None:
    """One JSON object on stdout, or in a file: indented, or as one line of JSON Lines."""
    click.echo(json.dumps(value, indent=None if lines else 2, ensure_ascii=False, allow_nan=False), file=file)


def table(rows: Sequence[Sequence[str]], header: Sequence[str]) -> str:
    """A plain table: columns as wide as their widest cell, two spaces between, no trailing space."""
    cells = [list(header), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(header))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )
