"""The scenarios in each Neovim that is here."""

from contextlib import ExitStack
from pathlib import Path
from tempfile import mkdtemp
from typing import Any

import pytest
from neovim_player import Player
from play import Play, command
from scenarios import Scenario, load

pytestmark = pytest.mark.editor


@pytest.mark.parametrize("scenario", load("neovim"), ids=lambda scenario: scenario.name)
def test_scenario(scenario: Scenario, neovim, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    with ExitStack() as stack:

        def another() -> Any:
            made = type(neovim)(neovim.binary, neovim.release, neovim.engine, Path(mkdtemp(dir=tmp_path)))
            stack.callback(made.close)
            return made

        player = Player(another, command(scenario.server, tmp_path), scenario.auto_close)
        Play(scenario, player, place, tmp_path).run()
