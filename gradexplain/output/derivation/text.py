"""A derivation as plain text for mail and logs: the table, laid out with spaces in at most 78 columns, no colour."""

from __future__ import annotations

from gradexplain.output.derivation import table
from gradexplain.output.derivation.table import preload as preload
from gradexplain.output.formats import Look
from gradexplain.records import Derivation

WIDTH = 78


def write(derivation: Derivation, look: Look) -> str:
    """The table in 78 columns, wherever it goes."""
    return table.write(derivation, Look(WIDTH))
