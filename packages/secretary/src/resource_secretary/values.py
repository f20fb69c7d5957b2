"""What the arguments of tools may be: types with limits, which become JSON Schema and are checked before a tool runs.

A value is data: it can't become an option of the command that it is handed to (no leading dash), can't end a line or
a string in C (no control characters), can't climb out of a folder (no `..`), and is no longer than it needs to be.
A plain `str` of a tool is a `Text`. The patterns are those that ECMA-262 and Python both read the same way, and
`(?![\\s\\S])` is the end of the text, where `$` would let a last newline pass.
"""

from __future__ import annotations

from typing import Annotated

from msgspec import Meta

_END = r"(?![\s\S])"
_PLAIN = r"[^\x00-\x1f\x7f-\x9f\u2028\u2029\ud800-\udfff]"
LONGEST = 256  # characters of a text

Text = Annotated[
    str,
    Meta(
        max_length=LONGEST,
        pattern=rf"^(?!-){_PLAIN}*{_END}",
        description=f"a line of at most {LONGEST} characters that does not begin with '-'",
    ),
]
# Names of queues, packages, modules, images, users, hosts: gcc/12.2.0, libfoo@1.2%gcc, ghcr.io/a/b:latest.
Name = Annotated[
    str,
    Meta(
        max_length=LONGEST,
        pattern=rf"^(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9_.+@:%~=,/-]*{_END}",
        description="a name: letters, digits and _.+@:%~=,/- without '..'",
    ),
]
# Ids of jobs: 12, 12_3, 12.server, 12[].server, 3.1, ƒ2Uz.
JobId = Annotated[
    str,
    Meta(
        max_length=LONGEST,
        pattern=rf"^[A-Za-z0-9ƒ][A-Za-z0-9ƒ_.@:\[\]-]*{_END}",
        description="the id of a job as its manager writes it",
    ),
]
# A folder or file by its absolute path; the tool that takes it says which paths it is about.
AbsolutePath = Annotated[
    str,
    Meta(
        max_length=4096,
        pattern=rf"^/(?!(.*/)?\.\.?(/|{_END})){_PLAIN}*{_END}",
        description="an absolute path without '.' and '..'",
    ),
]
# A word of a job's own command: everything but what can't be in an argv.
Word = Annotated[
    str,
    Meta(max_length=65536, pattern=rf"^[^\x00\ud800-\udfff]*{_END}", description="a word of a command line"),
]
Count = Annotated[int, Meta(ge=1, le=2**31 - 1)]
