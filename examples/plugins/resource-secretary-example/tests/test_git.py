"""The provider keeps the contract of providers, on this machine's behalf and on a recorded one."""

from resource_secretary_example import GitProvider

from resource_secretary.testing import RecordedSystem, check_provider

RECORDED = {("git", "--version"): "git version 2.39.5\n", ("git", "--list-cmds=main"): "add\nrebase\nrevert\n"}


def test_it_keeps_the_contract():
    check_provider(GitProvider, RecordedSystem(commands=RECORDED))


def test_what_it_finds():
    git = GitProvider(RecordedSystem(commands=RECORDED))
    assert git.probe().metadata.version == "2.39.5"
    assert git.commands("re") == ["rebase", "revert"]


def test_why_it_is_not_there():
    assert GitProvider(RecordedSystem()).probe().looked_for == "the command git on PATH"
