"""The console examples in README and docs: found, run and, when this file is run as a script, written anew."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```console\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


def blocks(page: Path) -> list[list[tuple[str, str]]]:
    """The blocks of a page: for each its commands, with the output that the page shows."""
    return [_commands(block["body"]) for block in _BLOCK.finditer(page.read_text(encoding="utf-8"))]


def _commands(body: str) -> list[tuple[str, str]]:
    parts = [part.partition("\n") for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]]
    return [(command, output) for command, _, output in parts]


def run(commands: Iterable[str]) -> list[str]:
    """What a reader sees who types these commands one after the other, in a folder that has `docs` and nothing else.

    Both streams, lines without spaces at their end.
    """
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    environment["PATH"] = str(Path(sys.executable).parent) + os.pathsep + environment.get("PATH", "")
    environment["PYTHONUTF8"] = "1"
    environment["_TYPER_FORCE_DISABLE_TERMINAL"] = "1"
    environment["TERMINAL_WIDTH"] = "100"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "docs").symlink_to(ROOT / "docs", target_is_directory=True)
        results = [
            subprocess.run(
                ["bash", "-c", command], cwd=folder, env=environment, stdin=subprocess.DEVNULL, text=True,
                encoding="utf-8", stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False,
            )
            for command in commands
        ]  # fmt: skip
    return ["".join(line.rstrip() + "\n" for line in result.stdout.splitlines()) for result in results]


def rewrite(page: Path) -> None:
    """Put the real output under every command of a page."""

    def fresh(block: re.Match[str]) -> str:
        lines = [command for command, _ in _commands(block["body"])]
        return "```console\n" + "".join(f"$ {line}\n{out}" for line, out in zip(lines, run(lines), strict=True)) + "```"

    page.write_text(_BLOCK.sub(fresh, page.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    from gradexplain.output.rules import render_markdown

    (ROOT / "docs" / "rules.md").write_text(render_markdown(), encoding="utf-8")
    for path in PAGES:
        rewrite(path)
