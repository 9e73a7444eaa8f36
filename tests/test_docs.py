"""README and docs are true: every command is run and compared, every page made from the table is up to date."""

from __future__ import annotations

import doctest
import re
import tomllib
from pathlib import Path

import pytest
from docs_examples import PAGES, ROOT, blocks, run

from gradexplain.cli.app import app
from gradexplain.output.rules import render_markdown
from gradexplain.records import VERDICTS
from gradexplain.rules.table import RULES

EXAMPLES = {f"{page.name}-{block[0][0]}": block for page in PAGES for block in blocks(page)}


@pytest.mark.parametrize("block", EXAMPLES.values(), ids=EXAMPLES)
def test_console_examples_print_what_the_page_shows(block: list[tuple[str, str]]) -> None:
    assert run(command for command, _ in block) == [output for _, output in block]


def test_no_page_names_a_folder_of_a_machine() -> None:
    for page in PAGES:
        assert not re.search(r"(?<![\w.])/(?:tmp|home|work|root)\b", page.read_text(encoding="utf-8")), page.name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_python_examples(page: Path) -> None:
    blocks = re.findall(r"^```pycon\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    for block in blocks:
        test = doctest.DocTestParser().get_doctest(block, {}, page.name, str(page), 0)
        assert doctest.DocTestRunner(verbose=False).run(test).failed == 0


def test_rules_page_is_made_from_the_table() -> None:
    assert (ROOT / "docs" / "rules.md").read_text(encoding="utf-8") == render_markdown()


def test_readme_shows_how_to_install_and_how_to_test_on_its_first_screen() -> None:
    first = (ROOT / "README.md").read_text(encoding="utf-8").splitlines()[:24]
    installs = [line for line in first if line.startswith("python3 -m pip install torch==2.13.0 ")]
    assert len(installs) == 2
    assert "gradexplain derive" in installs[0]
    assert installs[1].endswith("python3 -m pytest")


def test_every_command_option_and_verdict_is_documented() -> None:
    text = (ROOT / "docs" / "commands.md").read_text(encoding="utf-8")
    for command in app.registered_commands:
        assert f"## {command.name}" in text
    for word in (*VERDICTS, "--wrt", "--upstream", "--dtype", "--format", "--json", "--output", "--color"):
        assert word in text, word


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#]+)", page.read_text(encoding="utf-8")):
            assert "://" in target or (page.parent / target).exists(), (page.name, target)


def test_every_dependency_has_its_reason_in_the_readme() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    for entry in project["dependencies"]:
        assert f"| {re.split('[<>=]', entry)[0]} |" in text


def test_every_operation_of_the_table_is_on_the_rules_page() -> None:
    text = (ROOT / "docs" / "rules.md").read_text(encoding="utf-8")
    assert all(f"`{name}`" in text for name in RULES)
