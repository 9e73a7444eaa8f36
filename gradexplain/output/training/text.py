"""A training run as plain text for mail and logs: at most 78 columns, the curve in ASCII, no colour."""

from __future__ import annotations

from dataclasses import replace

from gradexplain.output.derivation.text import WIDTH
from gradexplain.output.formats import Look
from gradexplain.output.training import table
from gradexplain.output.training.table import preload as preload
from gradexplain.training_records import Training


def write(training: Training, look: Look) -> str:
    """The table in 78 columns, wherever it goes."""
    return table.write(training, replace(look, width=WIDTH, color=False), plain_curve=True)
