"""The command `incoder`, called in this process, and how it says that it cannot do what was asked."""

from typer.testing import CliRunner, Result

from incoder_train.cli import app


def incoder(*arguments: object) -> Result:
    return CliRunner().invoke(app, [*map(str, arguments)])


def assert_one_sentence(result: Result, said: str) -> None:
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("incoder: ")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
