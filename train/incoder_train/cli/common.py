"""What all commands share: how an error is told, and what an option is called."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.text import Text

from incoder_train.errors import UserError

Out = Annotated[Path, typer.Option(help="The folder, or file, to write.")]


# What the base install has not, by the name it is imported under, and the extra that brings it.
EXTRAS = {
    "torch": "train",
    "onnx": "train",
    "zstandard": "train",
    "matplotlib": "train",
    "markdown_it": "train",
    "pyarrow": "parquet",
    "gguf": "gguf",
    "datatrove": "scale",
    "ray": "scale",
}


@contextmanager
def one_sentence() -> Iterator[None]:
    """A UserError ends the command with its sentence and exit code 1; so does a package that the base install has not, a full
    disk, or what else the system refuses."""
    try:
        yield
    except UserError as error:
        sentence = str(error)
    except OSError as error:
        sentence = f"{error.filename or 'a file'} could not be read or written: {error.strerror or error}"
    except ModuleNotFoundError as error:
        if error.name not in EXTRAS:
            raise
        sentence = missing(error.name)
    else:
        return
    Console(stderr=True).print(Text(f"incoder: {sentence}"), soft_wrap=True)
    raise typer.Exit(1)


def need(package: str) -> None:
    """Before work begins that would end for want of a package, one of EXTRAS: raises UserError when it is not there."""
    if find_spec(package) is None:
        raise UserError(missing(package))


def missing(package: str) -> str:
    return f'this needs {package}, which is not installed; run: pip install "incoder-lsp[{EXTRAS[package]}]"'
