"""`gradexplain rules`: all rules of differentiation, or one of them explained."""

from __future__ import annotations

from typing import Annotated

import typer

from gradexplain.cli.streams import write_note, write_result
from gradexplain.errors import OptionError, nearest
from gradexplain.language.functions import function_names, rule_of
from gradexplain.language.rules import RULES


def _complete(incomplete: str) -> list[str]:
    return [name for name in function_names() if name.startswith(incomplete)]


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
    rule = rule_of(name)
    if rule is None:
        hint = nearest(name, function_names()) or "gradexplain rules lists all of them"
        raise OptionError(f"there is no rule {name}", hint=hint)
    text, notes = rules.render_one(RULES[rule.name])
    write_result(text)
    for note in notes:
        write_note(note)
    return 0
