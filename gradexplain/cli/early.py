"""What can be done before the command line itself is loaded: find the formula, and let PyTorch begin to load."""

from __future__ import annotations

import re

# What the commands declare, told here without loading them (a test compares the two).
_SHORT_OPTIONS = frozenset(("-h", "-o"))
_TAKE_A_VALUE = frozenset((
    "-o", "--output", "--at", "--wrt", "--upstream", "--dtype", "--format", "--color", "--params", "--data",
    "--reduction", "--optimizer", "--lr", "--momentum", "--weight-decay", "--betas", "--alpha", "--eps", "--steps",
    "--epochs", "--batch-size", "--seed", "--accumulate", "--order", "--compare", "--until", "--every", "--plot",
    "--select", "--jobs", "--shape", "--init", "--columns", "--device",
))  # fmt: skip


def protect_formulas(arguments: list[str]) -> list[str]:
    """Put a space before each formula that begins with a minus sign, so that it is not taken for an option.

    >>> protect_formulas(["derive", "-x**2", "--at", "x=-1", "-o", "-x.json", "--fromat", "json"])
    ['derive', ' -x**2', '--at', 'x=-1', '-o', '-x.json', '--fromat', 'json']
    """
    pairs = zip(["", *arguments], arguments, strict=False)
    return [
        f" {argument}" if before not in _TAKE_A_VALUE and _is_formula(argument) else argument
        for before, argument in pairs
    ]


def _is_formula(argument: str) -> bool:
    """Whether the argument begins with a minus and cannot be an option: no option has such a name."""
    if re.match(r"--?[^\w-]|--[\w.]+[^\w.=-]", argument):
        return True
    return re.match(r"-[^-\s]", argument) is not None and argument[:2] not in _SHORT_OPTIONS


def start_early(arguments: list[str]) -> None:
    """Begin to load PyTorch where the arguments are a sound formula and a point with all its values.

    For `train`, the formula alone will do. Whatever else there is to say is said later, by the command itself.
    """
    command = arguments[:1]
    if command not in (["derive"], ["graph"], ["train"]) or {"-h", "--help"} & set(arguments):
        return
    from gradexplain.errors import GradexplainError, ShapeError
    from gradexplain.language.parse import parse, parse_point
    from gradexplain.readings.worker import WITNESSES

    formulas, points = _formula_and_points(arguments)
    if len(formulas) != 1 and (command != ["train"] or formulas):
        return
    try:
        given = {name for point in points for name in parse_point(point)}
        graphs = [parse(text, given) for text in formulas]
    except ShapeError:
        # Shapes come from several options: the command itself will know whether they fit.
        if command == ["train"] and WITNESSES.installed():
            WITNESSES.start()
        return
    except GradexplainError:
        return
    complete = all(str(graph.nodes[i].value) in given for graph in graphs for i in graph.inputs)
    if (complete or command == ["train"]) and WITNESSES.installed():
        WITNESSES.start()


def _formula_and_points(arguments: list[str]) -> tuple[list[str], list[str]]:
    """The arguments of a command that are no options, and the values of `--at`."""
    formulas: list[str] = []
    points: list[str] = []
    before = ""
    for argument in protect_formulas(arguments[1:]):
        if before == "--at":
            points.append(argument)
        elif argument.startswith("--at="):
            points.append(argument.removeprefix("--at="))
        elif before not in _TAKE_A_VALUE and not argument.startswith("-"):
            formulas.append(argument)
        before = argument
    return formulas, points
