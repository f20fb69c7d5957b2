"""What the plugin adds: an action that keeps the contract, rules that a file can use, and a reader."""

from types import SimpleNamespace

from ensemble_example import again, again_while_fast, last_number

from ensemble.document import Action
from ensemble.metrics import Metrics
from ensemble.testing import check_action

ENDED = SimpleNamespace(job="solve.0")


def test_it_submits_the_group_again_while_it_is_fast():
    metrics = Metrics()
    action = Action(name="custom", label="example.again-while-fast", value=60)
    arguments = {"metrics": metrics, "event": ENDED, "rule": None, "action": action, "handle": None}
    assert check_action(again_while_fast, arguments) == []  # nothing is known of its durations yet
    metrics.add("solve", "duration", 10.0)
    assert check_action(again_while_fast, arguments) == [Action(name="submit", label="solve")]
    metrics.add("solve", "duration", 1000.0)
    assert check_action(again_while_fast, arguments) == []


def test_the_packaged_rule():
    [rule] = again("solve", seconds=60, times=3)
    assert (rule["trigger"], rule["action"]["repetitions"]) == ("job-success", 3)


def test_the_reader():
    assert [last_number(line) for line in ("residual 0.5", "done", "")] == [0.5, None, None]
