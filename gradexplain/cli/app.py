"""The command line: the commands, and what a shell gets to see of errors, interrupts and closed pipes."""

from __future__ import annotations

from typing import Annotated, Any

import typer

import gradexplain
from gradexplain.cli import batch, derive, graph, rules, train
from gradexplain.cli.early import protect_formulas
from gradexplain.cli.options import INTERRUPTED, USAGE_ERROR
from gradexplain.cli.streams import discard_output, write_error
from gradexplain.errors import GradexplainError, nearest

app = typer.Typer(
    name="gradexplain",
    help="Explain gradients: the chain rule step by step, beside what PyTorch's autograd computes.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command("derive")(derive.command)
app.command("graph")(graph.command)
app.command("train")(train.command)
app.command("batch")(batch.command)
app.command("rules")(rules.command)


def _version(wanted: bool) -> None:
    if wanted:
        print(f"gradexplain {gradexplain.__version__}")
        raise typer.Exit


@app.callback()
def _main(
    version: Annotated[
        bool, typer.Option("--version", help="Show the version and exit.", callback=_version, is_eager=True)
    ] = False,
) -> None:
    pass


def run(arguments: list[str]) -> int:
    """Run one command; returns the exit status: 0, 1 for a bad verdict, 2 for bad input, 130 for Ctrl-C."""
    try:
        arguments = arguments or ["--help"]
        status = app(protect_formulas(arguments), prog_name="gradexplain", standalone_mode=False)
        return status if isinstance(status, int) else 0
    except GradexplainError as error:
        write_error(error)
        return USAGE_ERROR
    except (BrokenPipeError, SystemExit) as error:
        # Typer ends with status 1 where the reader has seen enough and the pipe is closed.
        if not isinstance(error, BrokenPipeError) and not isinstance(error.__context__, BrokenPipeError):
            raise
        # Nothing more is to be written when Python closes the stream.
        discard_output()
        return 0
    except (KeyboardInterrupt, typer.Abort):
        return INTERRUPTED
    except Exception as error:
        if not hasattr(error, "format_message"):
            raise
        write_error(_usage(error, arguments))
        return USAGE_ERROR


def _usage(error: Any, arguments: list[str]) -> str:
    """The message of a mistake in the options, in the manner of all others."""
    message = error.format_message().strip().rstrip(".").replace("Value error, ", "")
    possibilities = getattr(error, "possibilities", None)
    if possibilities:
        name = error.option_name
        return f"there is no option {name}\n  {nearest(name, possibilities) or f'did you mean {possibilities[0]}?'}"
    known = [command.name for command in app.registered_commands]
    command = " ".join(["gradexplain", *[word for word in arguments[:1] if word in known]])
    return f"{message[0].lower()}{message[1:]}\n  {command} --help shows what there is"
