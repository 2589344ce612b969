"""The scenarios in both of Neovim's engines."""

from pathlib import Path

import pytest
from neovim_player import Player
from play import Play, command
from scenarios import Scenario, load

pytestmark = pytest.mark.editor


@pytest.mark.parametrize("scenario", load("neovim"), ids=lambda scenario: scenario.name)
def test_scenario(scenario: Scenario, another_neovim, tmp_path: Path) -> None:
    place = tmp_path / "place"
    place.mkdir()
    Play(scenario, Player(another_neovim, command(scenario.server, tmp_path), scenario.auto_close), place, tmp_path).run()
