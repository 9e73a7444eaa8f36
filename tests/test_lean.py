"""The second process leaves out what no formula asks for: the numbers are the same, and what is asked for loads."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from collections.abc import Iterator
from typing import Any

import pytest
import torch

from gradexplain import derive, train
from gradexplain.output import rules as rules_output
from gradexplain.readings.lean import LATER
from gradexplain.readings.worker import WITNESSES, Asked, Worker, run_task
from gradexplain.rules.table import RULES
from gradexplain.training.optimizers import OPTIMIZERS

SECOND_ORDER = [
    ("tanh(sum(W @ x))*exp(-x[0])", "W=[[1,2],[0.5,-1]],x=[0.3,-0.2]", "hessian"),
    ("softmax(W @ x, 0)", "W=[[1,2],[0.5,-1]],x=[0.3,-0.2]", "jacobian"),
    ("mean(lgamma(x)*erf(x)*digamma(x))", "x=[1.5,2.5]", "hessian"),
    ("logdet(A.T @ A)", "A=[[2,1],[0.5,3]]", "hessian"),
    ("sum(inv(A))", "A=[[2,1],[0.5,3]]", "hessian"),
    ("cross_entropy(W @ x, t)", "W=[[1,2],[0.5,-1]],x=[[0.3,1],[-0.2,2]],t=[0,1]", "hessian"),
]


@pytest.fixture
def tasks(monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """All that PyTorch is asked from now on."""
    found: list[Asked] = []
    ask = WITNESSES.ask

    def record(task: str, payload: Any, alone: bool = False) -> Asked:
        found.append(ask(task, payload, alone))
        return found[-1]

    monkeypatch.setattr(WITNESSES, "ask", record)
    return found


@pytest.fixture
def lean() -> Iterator[Worker]:
    worker = Worker()
    yield worker
    worker.stop()


def end(answers: list[Any]) -> str:
    """The answers as text, in which nan is nan. Where a run's chunks end depends on the clock: its last one is it."""
    return repr(answers[-1] if answers and answers[-1][0] == "end" else answers)


def test_every_rule_has_the_same_numbers_in_a_lean_process(tasks: list[Asked], lean: Worker) -> None:
    for rule in RULES.values():
        formula, point = rules_output.example(rule)
        for dtype in ("float64", "float32") if formula else ():
            derive(formula, point, dtype=dtype)
    for formula, point, want in SECOND_ORDER:
        derive(formula, point, **{want: True})
    assert len(tasks) > 2 * len(SECOND_ORDER) + len(RULES)
    for _, _, task, payload in tasks:
        found = list(lean.answers(lean.ask(task, payload, False)))
        assert end(found) == end(list(run_task(task, payload))), payload


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_every_optimizer_takes_the_same_steps_in_a_lean_process(
    optimizer: str, tasks: list[Asked], lean: Worker
) -> None:
    for formula, at, name in (
        ("(w*x - 3)**2", "w=1,x=2", "w"), ("mse_loss(W @ x, y)", "W=[[1,2],[3,4]],x=[1,2],y=[1,1]", "W"),
    ):  # fmt: skip
        train(formula, at, params=name, optimizer=optimizer, steps=20, lr=0.01)
    assert len(tasks) >= 2
    for _, _, task, payload in tasks:
        found = list(lean.answers(lean.ask(task, payload, False)))
        assert end(found) == end(list(run_task(task, payload))), payload


def output_of(program: str) -> list[str]:
    """What a program prints that begins with a lean import of PyTorch."""
    start = "import sys, torch_lean\n".replace("torch_lean", "gradexplain.readings.lean as lean")
    command = [sys.executable, "-W", "ignore", "-c", start + textwrap.dedent(program)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()


def test_what_was_put_off_loads_when_it_is_asked_for() -> None:
    put_off, taken, part, value, rest, again = output_of("""
        lean.import_torch()
        import torch
        print(*sorted(name for name in lean.LATER if type(sys.modules.get(name)) is lean.Later))
        print(torch.distributions.Normal(0.0, 1.0).log_prob(torch.tensor(0.0)).item())
        from torch.utils.data.dataset import Dataset
        print(Dataset.__name__, type(torch.utils.data).__name__)
        print(torch.empty(2, device="meta").tanh().shape[0] + torch.utils.data.DataLoader([1.0]).batch_size)
        print(lean.complete(), [name for name in lean.LATER if type(sys.modules.get(name)) is lean.Later])
        print(lean.complete())
    """)
    assert set(put_off.split()) <= LATER
    assert float(taken) == pytest.approx(-0.918938533204672)
    assert (part, value, rest, again) == ("Dataset module", "3", "True []", "False")
    if torch.__version__.startswith("2.13"):
        assert set(put_off.split()) == LATER


def test_a_version_without_those_modules_is_imported_as_it_is() -> None:
    assert output_of("""
        lean.LATER = frozenset({"torch.no_such_module"})
        lean.import_torch()
        import torch
        print(torch.ones(2).sum().item())
    """) == ["2.0"]


def test_where_the_lean_import_fails_a_plain_one_answers() -> None:
    assert output_of("""
        import gradexplain.readings.worker as worker

        real = worker._START
        worker._START = real.replace("serve(", "import gradexplain.readings.worker as w; w.import_torch = None; serve(")
        assert worker._START != real
        from gradexplain import derive

        print(derive("x**2", "x=3").gradient["x"].autograd, "torch" in sys.modules)
        kind = "[type(__import__('sys').modules['torch.export']).__name__]"
        print(*worker.WITNESSES.answers(worker.WITNESSES.ask("builtins:eval", kind)))
    """) == ["6.0 False", "module"]


def test_before_pytorch_is_blamed_everything_is_loaded_and_it_is_asked_again() -> None:
    assert output_of("""
        lean.import_torch()
        import torch
        from gradexplain import derive

        print(type(sys.modules["torch.export"]) is lean.Later)
        message = derive("inv(A)", "A=[[1,2],[2,4]]", upstream=[[1,0],[0,1]]).notes
        print("singular" in str(message), type(sys.modules["torch.export"]) is lean.Later)
    """) == ["True", "True False"]


def test_nothing_that_was_put_off_is_needed_for_tables_and_training() -> None:
    """Where PyTorch refuses, all of it loads; so this would hide that a module is needed, and cost what it saves."""
    assert output_of("""
        lean.import_torch()
        from gradexplain import derive, train

        derive("mean((X @ w)**2)", {"X": [[1.0] * 200] * 200, "w": [1.0] * 200})
        derive("sum((A @ x)**2)", shape="A=n x n,x=n")
        train("mse_loss(W @ x, y)", "x=[1,2],y=[1,1],W=[[1,2],[3,4]]", params="W", steps=2, lr=0.01)
        print(sorted({type(sys.modules[name]).__name__ for name in lean.LATER if name in sys.modules}))
        print(lean.complete(), derive("x**2", "x=3").gradient["x"].autograd)
    """) == ["['Later']", "True 6.0"]


def test_what_is_no_plain_data_is_refused_at_once(lean: Worker) -> None:
    """A message that could not be sent would be waited for without end."""
    with pytest.raises(ValueError, match="unmarshallable"):
        lean.ask("builtins:list", object(), False)
    assert list(lean.answers(lean.ask("builtins:list", (1, 2), False))) == [1, 2]
