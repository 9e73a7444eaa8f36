"""A derivation as bare numbers, one a line, for a script."""

from __future__ import annotations

from gradexplain.errors import OptionError
from gradexplain.output.formats import PLAIN, Look
from gradexplain.output.numbers import bare
from gradexplain.records import Derivation


def write(derivation: Derivation, look: Look = PLAIN) -> str:
    """The value of each wanted gradient, in order. Raises OptionError where one has no number for lack of a value."""
    for entry in derivation.gradient.values():
        if entry.value is None:
            names = ", ".join(derivation.missing)
            raise OptionError(f"{entry.partial} has no number without a value for {names}", hint="give one with --at")
    return "".join(f"{bare(entry.value)}\n" for entry in derivation.gradient.values())
