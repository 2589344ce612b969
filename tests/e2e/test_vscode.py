"""The scenarios in VS Code. A screenshot of each is left in the folder INCODER_SCREENSHOTS, if it is set."""

import os
import re
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from play import Play, command
from scenarios import Scenario, load
from vscode_player import Player, missing

pytestmark = pytest.mark.editor


@pytest.fixture(scope="module")
def vscode(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Player]:
    if why := missing():
        pytest.skip(why)
    pictures = os.environ.get("INCODER_SCREENSHOTS") or tmp_path_factory.mktemp("pictures")
    with ExitStack() as stack:
        yield Player(tmp_path_factory.mktemp("vscode"), Path(pictures), stack)


@pytest.mark.parametrize("scenario", load("vscode"), ids=lambda scenario: scenario.name)
def test_scenario(scenario: Scenario, vscode: Player) -> None:
    place = vscode.workspace / re.sub(r"\W+", "-", scenario.name)
    vscode.prepare(command(scenario.server, vscode.folder), scenario.auto_close)
    place.mkdir(parents=True)
    try:
        Play(scenario, vscode, place, vscode.folder).run()
    except BaseException:
        vscode.picture(f"{scenario.name} failed")
        vscode.leave()
        raise
