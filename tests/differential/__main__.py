"""The program for long runs; it prints each new problem as it is found, and the figures at the end."""

from __future__ import annotations

import argparse
import sys

from .hunt import hunt, hunt_soup
from .soup import CASES

WORST = ("agrees-wrong", "kink-agrees", "hessian-agrees-wrong", "missed")


def main() -> int:
    """Run; the exit status is 1 where a problem was found."""
    parser = argparse.ArgumentParser(prog="python -m tests.differential", description=__doc__)
    parser.add_argument("--count", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--start", type=int, default=0, help="the number of the first case")
    parser.add_argument("--kind", choices=("tensors", "numbers", "texts", "values"), default="tensors")
    parser.add_argument("--refusals", action="store_true", help="also what gradexplain refuses and Python takes")
    asked = parser.parse_args()
    import torch

    torch.set_num_threads(1)
    seeds = (f"{asked.kind}/{asked.seed}/{k}" for k in range(asked.start, asked.start + asked.count))

    def tell(text: str) -> None:
        print(text, flush=True)

    if asked.kind in CASES:
        found = hunt_soup(seeds, asked.kind, tell)
    else:
        found = hunt(seeds, asked.kind == "numbers", tell=tell)
    each, problems = 1000 * found.seconds / max(found.cases, 1), sum(found.counts.values())
    print(f"{found.cases:,} cases, {problems:,} problems of {len(found.examples)} kinds, {each:.1f} ms each")
    for check, count in sorted(found.counts.items(), key=lambda pair: (pair[0] not in WORST, -pair[1])):
        print(f"{count:7,} {check}")
    if asked.refusals:
        for message, count in found.refusals.most_common(40):
            print(f"{count:7,} refused: {message}")
    return bool(found.counts)


if __name__ == "__main__":
    sys.exit(main())
