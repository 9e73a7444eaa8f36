"""Many formulas, a line each: every line is answered with a line of JSON, and a bad one with what is wrong with it."""

from __future__ import annotations

import gc
import json
import queue
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import fields, is_dataclass
from functools import cache
from typing import IO, Any, NamedTuple

from gradexplain.errors import FormulaError, GradexplainError, LimitError, OptionError, PointError, nearest
from gradexplain.records import FAILURES, SCHEMA, Derivation, Gradient, MatrixDerivation, fields_of, plain
from gradexplain.tensor import Tensor

# A longer line is passed over, so that an endless one does not fill the memory.
MAX_LINE = 5_000_000
# So many parts of such a length are passed over in a line that is too long; a device may never end it.
MOST_SKIPPED = 200
KEYS = ("id", "expression", "at", "wrt", "upstream", "dtype", "shape", "jacobian", "hessian")
ERROR_SCHEMA = "gradexplain/error@1"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_ABSENT = object()
# So many lines are begun before the first of them has its answer, and so many more are read.
BEGUN = 3
LONG = 10_000
AHEAD = 4


class Settings(NamedTuple):
    """What holds for every line that does not say otherwise, as plain data, so that it can go to another process.

    `at` as in `derive`; `select` are the paths of the wanted parts (all of the record, where there is none); with
    `ascii_only`, other characters are escaped.
    """

    at: Sequence[Any] = ()
    wrt: str | None = None
    upstream: float | str = 1.0
    dtype: str = "float64"
    select: Sequence[str] = ()
    ascii_only: bool = False
    device: str = "cpu"


class Answer(NamedTuple):
    """The answer to a line: its JSON with the end of the line, whether it failed, and the selected paths it lacks."""

    text: str
    failed: bool
    absent: Sequence[str] = ()


def numbered_lines(stream: IO[bytes]) -> Iterator[tuple[int, bytes | None]]:
    """The lines that ask for something, with their numbers from 1 on; None stands for a line that is too long.

    Blank lines and those that begin with `#` are counted and passed over.

    >>> import io
    >>> list(numbered_lines(io.BytesIO(b"x**2\\n\\n# the last one\\nsin(x)")))
    [(1, b'x**2'), (4, b'sin(x)')]
    """
    number = 0
    while data := stream.readline(MAX_LINE + 1):
        number += 1
        if len(data) > MAX_LINE:
            yield number, None
            for _ in range(MOST_SKIPPED):
                if not data or data.endswith(b"\n"):
                    break
                data = stream.readline(MAX_LINE)
            else:
                raise OptionError(f"line {number:,} does not end", hint="nothing after it was read")
            continue
        line = (data.removeprefix(_BYTE_ORDER_MARK) if number == 1 else data).strip()
        if line and not line.startswith(b"#"):
            yield number, line


class Answerer:
    """Answers lines one by one. Raises OptionError or PointError for settings that suit no line.

    >>> print(Answerer(Settings(at=["x=3"], select=["gradient.x.autograd"])).answer(1, b"x**2").text, end="")
    6.0
    """

    def __init__(self, settings: Settings) -> None:
        from gradexplain.data.point import read_point, read_upstream
        from gradexplain.readings.devices import check_name, check_presence
        from gradexplain.readings.dtypes import DTYPES

        self.settings = settings
        self.point = read_point(list(settings.at))
        if settings.dtype in DTYPES:
            read_upstream(settings.upstream, settings.dtype)
        for path in settings.select:
            check_path(path)
        check_name(settings.device, settings.dtype)
        check_presence(settings.device)

    def answer(self, number: int, line: bytes | None) -> Answer:
        """The answer to a line: a derivation, or an error; whatever goes wrong with one does not end the batch."""
        return self.begin(number, line)()

    def begin(self, number: int, line: bytes | None) -> Callable[[], Answer]:
        """The first half of `answer`, while the witnesses work; returns a function that waits for them."""
        known: dict[str, Any] = {"line": number}
        rest: Callable[[], Derivation]
        try:
            rest = self._derive(request_of(line, known))
        except Exception as error:
            answer = self._error(known, error)
            return lambda: answer
        return lambda: self._finish(known, rest)

    def _finish(self, known: dict[str, Any], rest: Callable[[], Derivation]) -> Answer:
        try:
            derivation = rest()
        except Exception as error:
            return self._error(known, error)
        failed = derivation.verdict in FAILURES
        if not self.settings.select:
            return Answer(self._whole(known, derivation), failed)
        found = {path: _find(known, derivation, path.split(".")) for path in self.settings.select}
        absent = [path for path, value in found.items() if value is _ABSENT]
        values = {path: None if value is _ABSENT else plain(value) for path, value in found.items()}
        wanted: Any = values if len(values) > 1 else next(iter(values.values()))
        return Answer(self._json(wanted) + "\n", failed, absent)

    def _derive(self, request: dict[str, Any]) -> Callable[[], Derivation]:
        from gradexplain.data.point import read_point
        from gradexplain.data.shapes import read_shapes
        from gradexplain.derive import begin
        from gradexplain.language.parse import parse

        # What is null was not said.
        request = {key: value for key, value in request.items() if value is not None}
        check_request(request)
        expression, settings = request["expression"], self.settings
        point = read_point(request.get("at"))
        if self.point:
            # What holds for all lines is no mistake in one that has no such input.
            everything = self.point | point
            shapes = {name: given.tensor.shape for name, given in everything.items() if given.tensor is not None}
            graph = parse(expression, everything.keys(), {**shapes, **read_shapes(request.get("shape"))})
            inputs = {str(graph.nodes[i].value) for i in graph.inputs}
            point = {name: given for name, given in self.point.items() if name in inputs} | point
        return begin(
            expression,
            point,
            wrt=request.get("wrt", settings.wrt),
            upstream=request.get("upstream", settings.upstream),
            dtype=request.get("dtype", settings.dtype),
            shape=request.get("shape"),
            jacobian=request.get("jacobian", False),
            hessian=request.get("hessian", False),
            device=settings.device,
        )

    def _whole(self, known: dict[str, Any], derivation: Derivation) -> str:
        from gradexplain.output.formats import Look
        from gradexplain.output.json import write

        return f"{self._json(known)[:-1]},{write(derivation, Look(ascii_only=self.settings.ascii_only))[1:]}"

    def _error(self, known: dict[str, Any], error: Exception) -> Answer:
        if not isinstance(error, GradexplainError):
            reason = f"{type(error).__name__}: {error}".splitlines()[0]
            error = GradexplainError(reason, hint="this is a mistake of gradexplain, not of the line")
        place = {"start": error.start, "end": error.end, "text": error.text} if error.text else None
        about = {"message": error.message, "place": place, "hint": error.hint or None}
        return Answer(self._json({"schema": ERROR_SCHEMA, **known, "error": about}) + "\n", True)

    def _json(self, value: Any) -> str:
        text = json.dumps(value, ensure_ascii=self.settings.ascii_only, separators=(",", ":"))
        try:
            text.encode()
        except UnicodeEncodeError:
            # Half of a surrogate pair is no character that a stream could hold.
            text = json.dumps(value, separators=(",", ":"))
        return text


def request_of(line: bytes | None, known: dict[str, Any]) -> dict[str, Any]:
    """What a line asks for: the object that it is, or the formula. Its id joins what is known of the line."""
    if line is None:
        raise LimitError(f"the line has more than {MAX_LINE:,} bytes", hint="gradexplain derive reads longer formulas")
    try:
        text = line.decode()
    except UnicodeDecodeError as error:
        byte = f"byte 0x{line[error.start]:02x} at offset {error.start:,}"
        raise FormulaError(f"the line is not UTF-8: {byte}", hint="convert it, for example with iconv") from None
    if not text.startswith("{"):
        return {"expression": text}
    twice: list[str] = []

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        found = dict(pairs)
        if len(found) < len(pairs):
            names = [name for name, _ in pairs]
            twice.extend(name for name in found if names.count(name) > 1)
        return found

    try:
        found = json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        message = f"the line is not JSON: {error.msg[0].lower()}{error.msg[1:]}"
        raise FormulaError(message, text, error.pos, error.pos + 1, "a line is a formula or a JSON object") from None
    except RecursionError:
        raise FormulaError("the line is not JSON that can be read: it is nested too deeply") from None
    except ValueError:
        raise FormulaError("the line is not JSON that can be read: a number has too many digits") from None
    assert isinstance(found, dict)
    if "id" in found:
        known["id"] = plain(found["id"])
    if twice:
        raise PointError(f"{twice[0]} is given twice", hint="keep one of the values")
    return found


def check_request(request: dict[str, Any]) -> None:
    """Raise OptionError or PointError for keys that are unknown, and values of the wrong kind."""
    for key in request:
        if key not in KEYS:
            hint = nearest(key, KEYS) or "the keys are " + ", ".join(KEYS)
            raise OptionError(f"the object has an unknown key {key}", hint=hint)
    if "expression" not in request:
        raise OptionError("the object has no expression", hint='such as {"expression": "w*x", "at": {"w": 1, "x": 2}}')
    if not isinstance(request.get("at", {}), (dict, str)):
        raise PointError("at is neither an object nor text", hint='such as {"w": 1, "b": "1/3"} or "w=1,b=1/3"')
    for key in ("expression", "dtype"):
        if not isinstance(request.get(key, ""), str):
            raise OptionError(f"{key} is not text")
    wrt = request.get("wrt", "")
    if not isinstance(wrt, str) and not (isinstance(wrt, list) and all(isinstance(name, str) for name in wrt)):
        raise OptionError("wrt is not a list of names", hint='such as ["w", "b"]')
    shape = request.get("shape", {})
    sizes = shape.values() if isinstance(shape, dict) else ()
    if not isinstance(shape, (dict, str)) or not all(isinstance(size, (int, str, list)) for size in sizes):
        raise OptionError("shape is neither an object nor text", hint='such as {"X": [4, 3]} or "X=n x d"')
    for key in ("jacobian", "hessian"):
        if not isinstance(request.get(key, False), bool):
            raise OptionError(f"{key} is neither true nor false")


def answers(lines: Iterable[tuple[int, bytes | None]], settings: Settings) -> Iterator[Answer]:
    """The answers to lines, in their order, each as soon as it can be had.

    Where the next lines are there already, work on them begins while the witnesses are busy with those before.
    """
    batch = Answerer(settings)
    begun: deque[Callable[[], Answer]] = deque()
    first = True
    for item in _ahead(lines):
        if item:
            begun.append(batch.begin(*item))
        # A long line is done alone, since a large derivation takes much memory.
        while len(begun) > (BEGUN if item and len(item[1] or b"") < LONG else 0):
            yield begun.popleft()()
        if first:
            # What was loaded for the first line stays, and need not be looked through for garbage again and again.
            gc.freeze()
            # SymPy makes many things that live as long as a line, and hardly any that only this would find.
            gc.set_threshold(20_000, 20, 20)
            first = False


def _ahead(lines: Iterable[tuple[int, bytes | None]]) -> Iterator[tuple[int, bytes | None] | None]:
    """Lines, and None after each one that no other stands behind yet."""
    found: queue.Queue[Any] = queue.Queue(AHEAD)

    def read() -> None:
        try:
            for item in lines:
                found.put(item)
            found.put(None)
        except BaseException as error:
            found.put(error)

    threading.Thread(target=read, daemon=True).start()
    waiting = False
    while True:
        try:
            item = found.get(block=not waiting)
        except queue.Empty:
            item = waiting = False
        if item is None or isinstance(item, BaseException):
            break
        waiting = bool(item)
        yield item or None
    # The last line has its answer before it is said what went wrong behind it.
    yield None
    if item is not None:
        raise item


def _find(known: dict[str, Any], derivation: Derivation, parts: Sequence[str]) -> Any:
    """The part of a record that a path leads to, or _ABSENT."""
    value: Any = {"schema": SCHEMA, **known, **fields_of(derivation)}
    for part in parts:
        if isinstance(value, Tensor):
            value = plain(value)
        elif is_dataclass(value):
            value = fields_of(value)
        if isinstance(value, Sequence) and not isinstance(value, str):
            value = value[int(part)] if part.isdecimal() and int(part) < len(value) else _ABSENT
        else:
            value = value.get(part, _ABSENT) if isinstance(value, Mapping) else _ABSENT
        if value is _ABSENT:
            break
    return value


@cache
def _names(record: Any) -> tuple[str, ...]:
    return tuple(field.name for field in fields(record) if not field.name.startswith("_"))


def paths() -> list[str]:
    """The first parts of the paths that a record can have."""
    return ["line", "id", "schema", "device", *_names(MatrixDerivation)]


def check_path(path: str) -> None:
    """Raise OptionError for a path that no record can have.

    >>> check_path("gradient.w.autogard")
    Traceback (most recent call last):
        ...
    gradexplain.errors.OptionError: no record has gradient.w.autogard
      did you mean autograd?
    """
    parts = path.split(".")
    for position, names in ((0, paths()), (2, list(_names(Gradient)))):
        if len(parts) > position and (position == 0 or parts[0] == "gradient") and parts[position] not in names:
            hint = nearest(parts[position], names) or "it is one of " + ", ".join(names)
            raise OptionError(f"no record has {path or 'an empty path'}", hint=hint)
