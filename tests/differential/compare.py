"""What is said of a case against what Python has: every way in which both can differ, each with a name.

`agrees-wrong` is the worst: a good verdict beside a wrong number. The truth is the text as Python reads it and
difference quotients of it; where those say nothing, at a jump or beside one, nothing is held against anybody.
"""

from __future__ import annotations

import importlib.util
import math
import re
import zlib
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

import gradexplain
from gradexplain.errors import GradexplainError
from gradexplain.language.parse import parse
from gradexplain.output.formats import DERIVATION, Look, writer

from .grow import Case
from .measure import Problem, attempt, numbers, place_of, same, slopes
from .python import DTYPE, REFUSED, evaluate, gradients, run, tensor

GOOD = ("agrees", "unverified")


class Check:
    """One case, and all that is found wrong with what is said of it."""

    def __init__(self, case: Case, thorough: bool) -> None:
        self.case, self.text, self.at, self.thorough = case, case.text, case.used, thorough
        self.problems: list[Problem] = []
        self.plain = not re.search(r"\b(np|math)\.", self.text)
        self.refusal = ""

    def add(self, check: str, where: str, said: Any, right: Any) -> None:
        brief = [re.sub(r"-?\d+\.\d{7,}(e[-+]\d+)?", lambda number: f"{float(number[0]):.6g}", str(text))[:300]
                 for text in (said, right)]  # fmt: skip
        self.problems.append(Problem(check, where, *brief))

    def all(self) -> list[Problem]:
        """Every problem."""
        try:
            value, grads = gradients(self.text, self.at, self.case.upstream)
        except REFUSED as error:
            value, grads, refused = None, {}, f"{type(error).__name__}: {error}".partition("\n")[0][:120]
        case = self.case
        options: dict[str, Any] = {case.want: True} if case.want else {}
        if case.upstream is not None:
            options["upstream"] = case.upstream.tolist()
        point = {name: tensor.tolist() for name, tensor in self.at.items()}
        found, self.problems = attempt(lambda: gradexplain.derive(self.text, point, **options), "")
        if isinstance(found, GradexplainError):
            self.refusal = found.message
        elif found is not None and value is None:
            reason = re.sub(r"\d+|\(.*", "#", refused)[:50]
            self.add("accepted", f"{rows_of(case)}: {reason}", "an answer", f"Python refuses it: {refused}")
        elif found is not None:
            self.against(found, value, grads)
        return self.problems

    def against(self, found: Any, value: torch.Tensor, grads: Mapping[str, torch.Tensor]) -> None:
        """A record against the values of Python."""
        rows = rows_of(self.case)
        top = next(row for row in found.nodes if row.node == found.objective)
        right = value.numpy(force=True).astype(float)
        noise = self.noise(right)
        shown = numbers(top.autograd)
        if shown is not None and not same(shown, right, 1e-9 + noise):
            self.add("value", rows, f"{shown.tolist()} by PyTorch", right.tolist())
            return
        exact = numbers(top.value)
        known = exact is not None and np.isfinite(right).all() and (np.isfinite(exact).all() or self.continuous(right))
        if known and not same(exact, right, 1e-7 + 100 * noise):
            check = "agrees-wrong" if found.verdict in GOOD else "value-exact"
            self.add(check, rows, f"{exact.tolist()} {found.verdict}", right.tolist())
        for name, row in found.gradient.items():
            if self.plain and name in grads:
                shown, own = numbers(row.autograd), grads[name].numpy(force=True)
                if shown is not None and not same(shown, own, 1e-8 + 100 * noise):
                    self.add("autograd", rows, f"d/d{name} {shown.tolist()}", f"{own.tolist()} by PyTorch")
            if exact is not None and (np.isfinite(exact).all() or not np.isfinite(right).all()):
                self.slopes(found, name, row)
        if self.thorough:
            self.written(found, right)
            self.matrices(found)

    def scalar(self, at: Mapping[str, torch.Tensor]) -> torch.Tensor:
        """The formula at a point, weighed by the upstream gradient."""
        with torch.no_grad():
            value, upstream = run(self.text, at), self.case.upstream
        return value if upstream is None else (value * upstream).sum()

    def noise(self, right: np.ndarray) -> float:
        """How far the value moves, relative to itself, with rounding of the inputs."""
        if not np.isfinite(right).all():
            return 0.0
        generator = torch.Generator().manual_seed(0)
        moved = {name: value * (1 + 1e-14 * torch.randn(value.shape, generator=generator, dtype=DTYPE))
                 if value.is_floating_point() else value for name, value in self.at.items()}  # fmt: skip
        try:
            away = np.abs(run(self.text, moved).numpy(force=True) - right)
        except REFUSED:
            return 0.0
        largest, most = np.max(np.abs(right), initial=0.0), float(np.max(away[np.isfinite(away)], initial=0.0))
        return most / largest if largest else most

    def continuous(self, right: np.ndarray) -> bool:
        """Whether the value beside the point is nearly that at the point, so that it is no convention of a library."""
        for by in (1e-7, -1e-7):
            moved = {name: value + by if value.is_floating_point() else value for name, value in self.at.items()}
            try:
                beside = run(self.text, moved).numpy(force=True)
            except REFUSED:
                return False
            if not same(beside, right, 1e-3, 1.0):
                return False
        return True

    def slopes(self, found: Any, name: str, row: Any) -> None:
        """A gradient and its verdict against difference quotients."""
        value = self.at[name]
        exact, autograd = numbers(row.value), numbers(row.autograd)
        if not value.is_floating_point() or value.numel() > 16 or exact is None or autograd is None:
            return
        if exact.shape != tuple(value.shape):
            self.add("shape", rows_of(self.case), exact.shape, tuple(value.shape))
            return
        steps, where = slopes(self.scalar, self.at, name), rows_of(self.case)
        own, theirs, both = exact.reshape(-1), autograd.reshape(-1), np.array([step.both for step in steps])
        scale = max([1.0, *(abs(x) for x in both if x == x)])
        known = np.isfinite(both)
        wrong = known & ~(np.abs(own - both) <= 1e-5 * scale)
        astray = known & ~(np.abs(theirs - both) <= 1e-5 * scale)
        kink = [not known[k] and abs(step.left - step.right) > 1e-2 * scale for k, step in enumerate(steps)]
        kink = [flag and math.isfinite(step.left + step.right) for flag, step in zip(kink, steps, strict=True)]
        # What is as small as this, quotients do not tell from 0.
        tiny = (theirs != 0) & (np.abs(theirs) < 1e-5)
        said, right = f"d/d{name} {exact.tolist()}, PyTorch {autograd.tolist()}, {row.verdict}", both.tolist()
        if wrong.any():
            self.add("agrees-wrong" if row.verdict in GOOD else "exact-wrong", where, said, right)
        elif astray.any() and row.verdict in (*GOOD, "convention", "undefined"):
            self.add("missed", where, said, right)
        elif any(kink) and row.verdict in GOOD:
            sides = [(round(step.left, 6), round(step.right, 6)) for step in steps]
            self.add("kink-agrees", where, said, f"from the left and the right {sides}")
        elif known.all() and not astray.any() and row.verdict not in (*GOOD, "precision") and not tiny.any():
            self.add(f"false-{row.verdict}", where, said, right)

    def written(self, found: Any, right: np.ndarray) -> None:
        """Closed forms, statements and generated modules, each read again."""
        where = rows_of(self.case)
        again = "; ".join(found.statements)
        read, problems = attempt(lambda: parse(again, list(self.at), shapes_of(self.at)), "statements again: ")
        self.problems += problems
        if isinstance(read, GradexplainError):
            self.add("statements", where, again, f"not read again: {read.message}")
        elif read is not None:
            first = parse(self.text, list(self.at), shapes_of(self.at))
            if signature(first) != signature(read):
                self.add("statements", where, again, f"another graph than {self.text}")
            self.by_python("statements-python", again, right)
        if np.isfinite(right).all():
            self.forms(found)
        self.modules(found, right)
        if self.plain and self.case.upstream is None and zlib.crc32(self.text.encode()) % 4 == 1:
            self.named_sizes()

    def by_python(self, check: str, text: str, right: np.ndarray) -> None:
        try:
            value = run(text, self.at).numpy(force=True)
        except REFUSED as error:
            self.add(check, rows_of(self.case), text, f"Python: {error}".partition("\n")[0])
            return
        if np.isfinite(right).all() and not same(value, right, 1e-7 + 100 * self.noise(right)):
            self.add(check, rows_of(self.case), f"{text} is {value.tolist()}", right.tolist())

    def forms(self, found: Any) -> None:
        """Closed forms by Python, at the point and at another, against the record and against autograd."""
        generator = torch.Generator().manual_seed(1)
        other = {name: torch.rand(value.shape, generator=generator, dtype=DTYPE) + 0.3
                 if value.is_floating_point() else value for name, value in self.at.items()}  # fmt: skip
        try:
            elsewhere = gradients(self.text, other, self.case.upstream)[1] if self.plain else {}
        except REFUSED:
            elsewhere = {}
        if self.case.upstream is not None and not bool((self.case.upstream == 1).all()):
            return
        for name, row in found.gradient.items():
            exact = numbers(row.value)
            if row.symbolic is None or exact is None or not self.at[name].is_floating_point():
                continue
            there = [(other, elsewhere[name].numpy(force=True))] if name in elsewhere else []
            for at, right in ((self.at, exact), *there):
                if not np.isfinite(right).all():
                    continue
                try:
                    value = run(row.symbolic, {**at, **self.named(at)}).numpy(force=True)
                except REFUSED as error:
                    self.add("form", rows_of(self.case), f"d/d{name} = {row.symbolic}", f"Python: {error}")
                    break
                smooth = at is self.at or self.smooth(other, name, right)
                if value.shape != right.shape or (smooth and not same(value, right, 1e-6, 1.0)):
                    self.add("form", rows_of(self.case), f"d/d{name} = {row.symbolic} is {value.tolist()} at "
                             f"{ {n: v.tolist() for n, v in at.items()} }", right.tolist())  # fmt: skip
                    break

    def named_sizes(self) -> None:
        """Closed forms of the formula with names for its sizes, by Python at other sizes."""
        shapes = {name: tuple(f"n{size}" if size > 1 else 1 for size in value.shape) for name, value in self.at.items()}
        if not any(shapes.values()) or "t" in shapes:
            return
        found, problems = attempt(lambda: gradexplain.derive(self.text, shape=shapes), "named sizes: ")
        self.problems += problems
        if found is None or isinstance(found, GradexplainError):
            return
        sizes = {"n2": 5, "n3": 2, "n4": 6}
        generator = torch.Generator().manual_seed(2)
        at = {name: torch.rand([sizes.get(str(size), 1) for size in shape], generator=generator, dtype=DTYPE) + 0.3
              for name, shape in shapes.items()}  # fmt: skip
        try:
            right = gradients(self.text, at, None)[1]
        except REFUSED:
            return
        for name, row in found.gradient.items():
            own = right[name].numpy(force=True)
            if row.symbolic is None or not np.isfinite(own).all() or not self.smooth(at, name, own):
                continue
            try:
                value = run(row.symbolic, {**sizes, **at, **self.named(at)}).numpy(force=True)
            except REFUSED as error:
                self.add("form-sizes", rows_of(self.case), f"{shapes} d/d{name} = {row.symbolic}", f"Python: {error}")
                continue
            if not same(value, own, 1e-6, 1.0):
                said = f"{shapes} d/d{name} = {row.symbolic} is {value.tolist()} with {sizes}"
                self.add("form-sizes", rows_of(self.case), said, own.tolist())

    def named(self, at: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
        """The values of the statements before the objective."""
        values: dict[str, torch.Tensor] = {}
        for name, term in self.case.before:
            values[name] = run(term.text, {**at, **values})
        return values

    def smooth(self, at: Mapping[str, torch.Tensor], name: str, right: np.ndarray) -> bool:
        """Whether autograd's gradient there is that of a smooth function, so that a form must have it."""
        if at[name].numel() > 16:
            return False
        both = np.array([step.both for step in slopes(self.scalar, at, name)]).reshape(right.shape)
        return same(both, right, 1e-5, 1.0)

    def modules(self, found: Any, right: np.ndarray) -> None:
        """Generated code, run: the value and the gradients must be those of the record."""
        runners = {"pytorch": self.by_pytorch, "numpy": self.by_numpy, "program": self.by_program}
        runs = found.verdict in ("agrees", "convention") and bool(np.isfinite(right).all())
        # Pages and pictures take longer.
        rarely = zlib.crc32(self.text.encode()) % 16 == 0
        for kind in DERIVATION if rarely else runners if runs else ():
            text, problems = attempt(lambda kind=kind: writer(DERIVATION[kind])(found, Look()), f"{kind}: ")
            self.problems += problems
            call = runners.get(kind)
            if not runs or call is None or not isinstance(text, str):
                continue
            try:
                value, grads = call(text, found)
            except Exception as error:
                message = re.sub(r"\d+", "#", str(error).partition("\n")[0])[:70]
                self.add(f"code-{kind}", f"{type(error).__name__} {message}", error, "code that runs")
                continue
            if not same(value, right, 1e-7 + 100 * self.noise(right)):
                self.add(f"code-{kind}", rows_of(self.case), f"value {np.asarray(value).tolist()}", right.tolist())
            for name, row in found.gradient.items():
                exact = numbers(row.value)
                if name in grads and np.isfinite(exact).all() and not same(grads[name], exact, 1e-6, 1.0):
                    self.add(f"code-{kind}", rows_of(self.case), f"d/d{name} {np.asarray(grads[name]).tolist()}",
                             exact.tolist())  # fmt: skip

    def by_pytorch(self, text: str, found: Any) -> tuple[Any, dict[str, Any]]:
        point = [self.at[name].clone().to(DTYPE).requires_grad_(name in found.gradient) for name in found.inputs]
        value = loaded(text).loss(*point)
        upstream = self.case.upstream
        value.backward(upstream)
        return value.detach(), {name: leaf.grad for name, leaf in zip(found.inputs, point, strict=True)
                                if leaf.grad is not None}  # fmt: skip

    def by_numpy(self, text: str, found: Any) -> tuple[Any, dict[str, Any]]:
        point = [self.at[name].numpy(force=True).astype(float) for name in found.inputs]
        return tuple(loaded(text).value_and_gradient(*point))  # type: ignore[return-value]

    def by_program(self, text: str, found: Any) -> tuple[Any, dict[str, Any]]:
        values: dict[str, Any] = {}
        for line in text.splitlines():
            statement = line.partition("#")[0].strip()
            if statement:
                name, operator, expression = statement.split(" ", 2)
                number = tensor(evaluate(expression, values))
                values[name] = values[name] + number if operator == "+=" else number
        return values[found.objective], {}

    def matrices(self, found: Any) -> None:
        """A Jacobian or a Hessian against difference quotients of the values."""
        where = rows_of(self.case)
        for name, row in (getattr(found, "jacobian", None) or {}).items():
            exact = numbers(row.value)
            if exact is None or not self.at[name].is_floating_point():
                continue
            size = 1 if self.case.upstream is None else self.case.upstream.numel()
            for place in range(size):
                steps = slopes(lambda at, k=place: run(self.text, at).reshape(-1)[k], self.at, name)
                both = np.array([step.both for step in steps])
                own = exact.reshape(size, -1)[place]
                if np.isfinite(both).all() and not same(own, both, 1e-5, 1.0):
                    self.add("jacobian", where, f"d/d{name} [{place}] {own.tolist()} {row.verdict}", both.tolist())
                    break
        if getattr(found, "hessian", None) is not None and math.isfinite(run(self.text, self.at).sum()):
            self.hessian(found.hessian, list(found.gradient), where)

    def hessian(self, record: Any, names: list[str], where: str) -> None:
        """Second difference quotients of the values, in two steps that must tell the same."""
        exact = numbers(record.value)
        flat = torch.cat([self.at[name].reshape(-1).to(DTYPE) for name in names])
        if exact is None or exact.shape != (flat.numel(),) * 2 or flat.numel() > 9:
            return
        sizes = [self.at[name].numel() for name in names]
        smooth = all(step.both == step.both for name in names for step in slopes(self.scalar, self.at, name))
        if not smooth:
            return

        def value(moved: torch.Tensor) -> float:
            parts = torch.split(moved, sizes)
            try:
                return float(run(self.text, {**self.at, **{name: part.reshape(self.at[name].shape)
                                                           for name, part in zip(names, parts, strict=True)}}))
            except REFUSED:
                return math.nan

        unit = torch.eye(flat.numel(), dtype=DTYPE)
        for j in range(flat.numel()):
            for k in range(j + 1):
                found = [sum(s * t * value(flat + h * (s * unit[j] + t * unit[k])) for s in (-1, 1) for t in (-1, 1))
                         / (4 * h * h) for h in (2e-3, 1e-3)]  # fmt: skip
                scale = max(1.0, abs(found[1]))
                rounding = 1e-15 * abs(value(flat)) / 1e-6
                if abs(found[0] - found[1]) > 1e-4 * scale or not math.isfinite(sum(found)) or rounding > 1e-4:
                    continue
                if not abs(exact[j, k] - found[1]) <= 1e-3 * scale:
                    check = "hessian-agrees-wrong" if record.verdict in GOOD else f"hessian-{record.verdict}"
                    self.add(check, where, f"[{j}, {k}] {exact[j, k]} {record.verdict}", found[1])
                    return


def loaded(text: str) -> Any:
    """Generated code as a module."""
    spec = importlib.util.spec_from_loader("generated", None)
    module = importlib.util.module_from_spec(spec)  # type: ignore[arg-type]
    exec(compile(text, "generated", "exec"), module.__dict__)
    return module


def shapes_of(at: Mapping[str, torch.Tensor]) -> dict[str, tuple[int, ...]]:
    """The shapes of what has axes."""
    return {name: tuple(value.shape) for name, value in at.items() if value.ndim}


def signature(graph: Any) -> list[Any]:
    """A graph without the numbers of its nodes; what settings do, values tell."""
    order = {i: place for place, i in enumerate(graph.inputs_first(graph.objective))}
    return [(graph.nodes[i].rule, [order[j] for j in graph.nodes[i].inputs], str(graph.nodes[i].value)) for i in order]


def rows_of(case: Case) -> str:
    """The rows that a case is made of."""
    names = case.objective.names().union(*[term.names() for _, term in case.before])
    return "+".join(sorted(names)) or "no rows"


def compared(case: Case, thorough: bool = True) -> tuple[list[Problem], str]:
    """The problems of a case, and the message of a refusal of ours."""
    check = Check(case, thorough)
    try:
        return check.all(), check.refusal
    except Exception as error:
        return [Problem("harness", place_of(error), repr(error), "a comparison that works")], ""
