"""`gradexplain rules`: all rules of differentiation, or one of them explained."""

from __future__ import annotations

from typing import Annotated

import typer

from gradexplain.cli.streams import write_note, write_result
from gradexplain.errors import OptionError, nearest
from gradexplain.rules.table import ALIASES, RULES


def _known() -> list[str]:
    return [*RULES, *ALIASES]


def _complete(incomplete: str) -> list[str]:
    return [name for name in _known() if name.startswith(incomplete)]


def command(
    name: Annotated[
        str | None,
        typer.Argument(help="A rule or function, such as relu (all of them, without it).", autocompletion=_complete),
    ] = None,
) -> int:
    """List the rules of differentiation, or explain one with an example."""
    from gradexplain.output import rules

    if name is None:
        write_result(rules.render_all())
        return 0
    rule = RULES.get(ALIASES.get(name, name))
    if rule is None:
        hint = nearest(name, _known()) or "gradexplain rules lists all of them"
        raise OptionError(f"there is no rule {name}", hint=hint)
    text, notes = rules.render_one(rule)
    write_result(text)
    for note in notes:
        write_note(note)
    return 0
