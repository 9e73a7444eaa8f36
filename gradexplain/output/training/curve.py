"""The loss of a run over its steps, as a curve for a terminal: text with axes, in braille dots or in plain ASCII."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import pairwise

from gradexplain.errors import columns, printable
from gradexplain.output.numbers import show
from gradexplain.output.training.losses import Curve, Scale, curves, remarks, round_numbers, scale
from gradexplain.training_records import Training

MAX_WIDTH = 80
# With fewer columns than this for the curve itself there is none, only its ends in words.
MIN_COLUMNS = 10
# Points this many columns apart, or further, get a mark each; closer ones are a line.
MARKED = 3
# How many columns are between two marks that tell a line from another one.
MARK_EVERY = 9
# The bits of the dots of a character, in rows from the top: three dots in ASCII, eight in a braille character.
ASCII_DOTS = ((0x01,), (0x02,), (0x04,))
BRAILLE_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
# How many rows a loss that stays the same is worth.
FLAT = 3
Labels = dict[int, str]


class _Characters:
    """The characters of a picture, in ASCII where it is `plain`, and the dots that a character has."""

    def __init__(self, plain: bool) -> None:
        self.encoding = "ascii" if plain else "utf-8"
        self.across, self.up = (1, 3) if plain else (2, 4)
        self.dots = ASCII_DOTS if plain else BRAILLE_DOTS
        self.side, self.tick, self.corner, self.floor, self.mark_below = "|++-+" if plain else "│┤└─┬"
        self.marks = "*ox+#@%&" if plain else "●×◆+▲○■◇"

    def mark(self, number: int) -> str:
        """The mark of a run, by its number."""
        return self.marks[number % len(self.marks)]

    def character(self, dots: int) -> str:
        """The character for a set of dots."""
        if self.encoding == "ascii":
            return " '-'.|,|"[dots]
        return chr(0x2800 + dots) if dots else " "


def draw(training: Training, width: int, height: int = 8, encoding_is_ascii: bool = False) -> list[str]:
    """The curve in lines of at most `width` columns (never more than MAX_WIDTH), `height` of them for the curve itself.

    What the axis of the loss is, `losses.scale` decides. Losses that are not finite are left out, with a remark. Runs
    compared have marks on their lines, and a legend. Without points there are no lines; where `width` is too small for
    a curve, its ends are told in words. `encoding_is_ascii` is for streams that lack braille dots.
    """
    look, width, height = _Characters(encoding_is_ascii), max(2, min(width, MAX_WIDTH)), max(2, height)
    everything = curves(training)
    if not everything:
        return []
    notes = [line for run in everything for line in _fold(remarks(run).split(), width, look)]
    axis = scale(loss for run in everything for _, loss in run.points)
    steps = [step for run in everything for step, _ in run.points]
    first, last = min(steps), max(steps)
    if axis is None:
        return [*_fold(f"loss: not finite, steps {first} to {last}".split(), width, look), *notes]
    height = FLAT if axis.low == axis.high else height
    losses = _loss_labels(axis, height, look)
    margin = max(len("step"), *map(len, losses.values()))
    room = width - margin - 2
    if room < max(MIN_COLUMNS, len(f"{first}  {last}")):
        ends = f"loss between {show(axis.low, 3)} and {show(axis.high, 3)}, steps {first} to {last}"
        return [*_fold(ends.split(), width, look), *notes]
    rows = _picture(everything, axis, (first, last), room, height, look)
    lines = [
        f"{losses.get(k, ''):>{margin}} {look.tick if k in losses else look.side}{row}" for k, row in enumerate(rows)
    ]
    floor, numbers = _steps(first, last, room, look)
    lines += [f"{'':{margin}} {look.corner}{floor}", f"{'step':>{margin}}  {numbers}"]
    legend = [f"{look.mark(k)} {run.label}" for k, run in enumerate(everything) if run.label]
    return [*_fold(axis.title.split(), width, look), *lines, *_fold(legend, width, look, "   "), *notes]


def _fold(parts: Sequence[str], width: int, look: _Characters, gap: str = " ") -> list[str]:
    """The parts, with `gap` between those that share a line, in lines of at most `width` columns."""
    lines: list[str] = []
    for part in parts:
        part = printable(part, look.encoding)
        if lines and columns(lines[-1] + gap + part) <= width:
            lines[-1] += gap + part
            continue
        while columns(part) > width:
            cut = next(k for k in range(len(part), 0, -1) if columns(part[:k]) <= width)
            lines.append(part[:cut])
            part = part[cut:]
        lines.append(part)
    return lines


def _picture(
    everything: Sequence[Curve], axis: Scale, ends: tuple[int, int], room: int, height: int, look: _Characters
) -> list[str]:
    """The lines of all runs and the marks on them, `height` rows of `room` columns."""
    across, up, gap = room * look.across - 1, height * look.up - 1, 1 / (height - 1)
    dots: dict[tuple[int, int], int] = {}
    marks: dict[tuple[int, int], str] = {}
    for number, run in enumerate(everything):
        places = [
            (round((step - ends[0]) / max(ends[1] - ends[0], 1) * across), round((1 - axis.share(loss, gap)) * up))
            if math.isfinite(loss)
            else None
            for step, loss in run.points
        ]
        line = [place for place in places if place] + list(_between(places))
        for x, y in line:
            cell = y // look.up, x // look.across
            dots[cell] = dots.get(cell, 0) | look.dots[y % look.up][x % look.across]
        if len(places) * MARKED <= room or len(line) == 1:
            marked = [place for place in places if place]
        else:
            phase = number * MARK_EVERY // len(everything)
            marked = [place for place in line if len(everything) > 1 and place[0] / look.across % MARK_EVERY == phase]
        marks |= {(y // look.up, x // look.across): look.mark(number) for x, y in marked}
    return [
        "".join(marks.get((k, x)) or look.character(dots.get((k, x), 0)) for x in range(room)).rstrip()
        for k in range(height)
    ]


def _between(places: Sequence[tuple[int, int] | None]) -> Iterator[tuple[int, int]]:
    """The dots of a straight line from each place to the next, without both; none from or to a None."""
    for one, other in pairwise(places):
        if one and other:
            across, down = other[0] - one[0], other[1] - one[1]
            count = max(abs(across), abs(down))
            for k in range(1, count):
                yield one[0] + round(across * k / count), one[1] + round(down * k / count)


def _loss_labels(axis: Scale, height: int, look: _Characters) -> Labels:
    """Numbers for rows of the y axis, counted from the top: both ends, and round ones between where there is room."""
    gap, up = 1 / (height - 1), height * look.up

    def row(loss: float) -> int:
        return round((1 - axis.share(loss, gap)) * (up - 1)) // look.up

    numbers = {row(loss): loss for loss in ([0.0] if axis.zero else []) + [axis.low, axis.high]}
    for loss in _round_losses(axis):
        if all(abs(row(loss) - other) > 1 for other in numbers):
            numbers[row(loss)] = loss
    for digits in (3, 6, 9, 12, 17):
        labels = {k: _short(loss, digits) for k, loss in numbers.items()}
        if len(set(labels.values())) == len(labels):
            break
    return labels


def _round_losses(axis: Scale) -> list[float]:
    """Up to some four round numbers between the ends of the y axis: powers of ten where it is logarithmic."""
    if axis.logarithmic:
        low, high = math.log10(axis.low), math.log10(axis.high)
        return [float(f"1e{round(power)}") for power in round_numbers(low, high, min(4, math.ceil(high - low)))]
    return [float(number) for number in round_numbers(axis.low, axis.high, 3)]


def _short(number: float, digits: int) -> str:
    """The number in a few characters.

    >>> _short(1234567.0, 3), _short(0.25, 3)
    ('1.23e6', '0.25')
    """
    if abs(number) >= 10 ** max(digits, 4):
        return f"{number:.{digits}g}".replace("e+0", "e").replace("e+", "e")
    return show(float(f"{number:.{max(digits, 4)}g}"), digits)


def _steps(first: int, last: int, room: int, look: _Characters) -> tuple[str, str]:
    """The x axis and the numbers below it: the first step, round ones as far as there is room, the last."""
    places: dict[int, int] = {}
    if last > first:
        count = max(1, min(6, room // (2 * len(str(last)) + 4), last - first))
        for step in map(round, round_numbers(first, last, count)):
            places[round((step - first) / (last - first) * (room - 1))] = step
    places |= {0: first} if last == first else {0: first, room - 1: last}
    floor, numbers = look.floor * room, ""
    for place, step in sorted(places.items()):
        text = str(step)
        start = min(max(0, place - len(text) // 2), room - len(text))
        if step in (first, last) or len(numbers) + 2 <= start <= room - len(text) - len(str(last)) - 2:
            numbers = numbers.ljust(start) + text
            floor = floor[:place] + look.mark_below + floor[place + 1 :]
    return floor, numbers
