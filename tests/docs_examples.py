"""The console examples in README and docs: found, run and, when this file is run as a script, written anew."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
_BLOCK = re.compile(r"^```console\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)


def commands(page: Path) -> list[tuple[str, str]]:
    """Every command of a page with the output that the page shows."""
    found = []
    for block in _BLOCK.finditer(page.read_text(encoding="utf-8")):
        for part in re.split(r"^\$ ", block["body"], flags=re.MULTILINE)[1:]:
            command, _, output = part.partition("\n")
            found.append((command, output))
    return found


def run(command: str) -> str:
    """What a reader sees who types the command: both streams, lines without spaces at their end."""
    environment = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "FORCE_COLOR", "COLUMNS")}
    environment["PATH"] = str(Path(sys.executable).parent) + os.pathsep + environment.get("PATH", "")
    environment["PYTHONUTF8"] = "1"
    environment["_TYPER_FORCE_DISABLE_TERMINAL"] = "1"
    environment["TERMINAL_WIDTH"] = "100"
    result = subprocess.run(
        ["bash", "-c", command], cwd=ROOT, env=environment, stdin=subprocess.DEVNULL, text=True, encoding="utf-8",
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, timeout=120, check=False,
    )  # fmt: skip
    return "".join(line.rstrip() + "\n" for line in result.stdout.splitlines())


def rewrite(page: Path) -> None:
    """Put the real output under every command of a page."""
    text = page.read_text(encoding="utf-8")

    def fresh(block: re.Match[str]) -> str:
        parts = re.split(r"^\$ ", block["body"], flags=re.MULTILINE)[1:]
        lines = [part.partition("\n")[0] for part in parts]
        return "```console\n" + "".join(f"$ {line}\n{run(line)}" for line in lines) + "```"

    page.write_text(_BLOCK.sub(fresh, text), encoding="utf-8")


if __name__ == "__main__":
    from gradexplain.output.rules import render_markdown

    (ROOT / "docs" / "rules.md").write_text(render_markdown(), encoding="utf-8")
    for path in PAGES:
        rewrite(path)
