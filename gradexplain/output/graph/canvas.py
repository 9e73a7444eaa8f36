"""A sheet of characters: texts, and lines that know where they join and where they only cross."""

from __future__ import annotations

from collections.abc import Mapping

from gradexplain.errors import columns

UP, DOWN, LEFT, RIGHT = 1, 2, 4, 8
LINES: Mapping[int, str] = {
    UP: "│", DOWN: "│", UP | DOWN: "│", LEFT: "─", RIGHT: "─", LEFT | RIGHT: "─", DOWN | RIGHT: "┌", DOWN | LEFT: "┐",
    UP | RIGHT: "└", UP | LEFT: "┘", UP | DOWN | RIGHT: "├", UP | DOWN | LEFT: "┤", LEFT | RIGHT | DOWN: "┬",
    LEFT | RIGHT | UP: "┴", UP | DOWN | LEFT | RIGHT: "┼",
}  # fmt: skip
# In ASCII, every corner and every joint is a plus.
ASCII_LINES: Mapping[int, str] = {joint: {"│": "|", "─": "-"}.get(character, "+") for joint, character in LINES.items()}


class Canvas:
    """Characters by row and column. Lines of one `net` join where they meet, others cross: the upright one is seen.

    >>> canvas = Canvas()
    >>> canvas.upright(2, 0, 2, net=1)
    >>> canvas.level(1, 0, 4, net=2)
    >>> canvas.level(2, 2, 4, net=1)
    >>> print(canvas.render(LINES))
      │
    ──│──
      └──
    """

    def __init__(self) -> None:
        self.texts: dict[tuple[int, int], str] = {}
        self.joints: dict[tuple[int, int], dict[int, int]] = {}

    def text(self, row: int, column: int, text: str) -> None:
        """Write a text; what takes two columns leaves none behind it."""
        for character in text:
            width = columns(character)
            if not width:
                before = column - 1
                while before > 0 and not self.texts.get((row, before)):
                    before -= 1
                self.texts[row, before] = self.texts.get((row, before), "") + character
                continue
            self.texts[row, column] = character
            for k in range(1, width):
                self.texts[row, column + k] = ""
            column += width

    def level(self, row: int, first: int, last: int, net: int) -> None:
        """A line from column `first` to `last`."""
        for column in range(first, last):
            self._join(row, column, RIGHT, net)
            self._join(row, column + 1, LEFT, net)

    def upright(self, column: int, first: int, last: int, net: int) -> None:
        """A line from row `first` to `last`, whichever is above."""
        for row in range(min(first, last), max(first, last)):
            self._join(row, column, DOWN, net)
            self._join(row + 1, column, UP, net)

    def _join(self, row: int, column: int, side: int, net: int) -> None:
        nets = self.joints.setdefault((row, column), {})
        nets[net] = nets.get(net, 0) | side

    def render(self, lines: Mapping[int, str]) -> str:
        """All of it as text, without spaces at the ends of lines."""
        cells = {place: self._line(nets, lines) for place, nets in self.joints.items()} | self.texts
        height = max((row for row, _ in cells), default=-1) + 1
        rows: list[list[tuple[int, str]]] = [[] for _ in range(height)]
        for (row, column), character in sorted(cells.items()):
            rows[row].append((column, character))
        found = []
        for cells_of_row in rows:
            line, at = [], 0
            for column, character in cells_of_row:
                line.append(" " * (column - at) + character)
                at = column + 1
            found.append("".join(line).rstrip())
        return "\n".join(found)

    def _line(self, nets: Mapping[int, int], lines: Mapping[int, str]) -> str:
        """The line that is seen in a cell: that of the net which goes up or down in it."""
        return lines[max(nets.values(), key=lambda sides: (bool(sides & (UP | DOWN)), sides))]
