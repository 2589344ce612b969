"""What a person does in an editor and what must come of it, as data: scenarios/*.toml in, checked Scenarios out.

Each file of scenarios is a list of `[[scenario]]`, with the fields of Scenario below. In their texts
`‸` marks the cursor, in the first file and in each that is opened later,
`⟨5 times x⟩` is `xxxxx`,
`⟨answer⟩` stands for what the server itself has suggested, less what was typed of it since,
`⟨edits⟩` for the file with the edits of the server's code action; `⟨edits, if any⟩` if it may have none.
A step is a table with one of the verbs of STEPS, and its options.
"""

import re
import sys
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

FOLDER = Path(__file__).with_name("scenarios")
CURSOR, ANSWER, EDITS, REPEATED = "‸", "⟨answer⟩", "⟨edits", re.compile("⟨([0-9]+) times (.*?)⟩")
EDITORS = ("vscode", "neovim")
SERVERS = (
    "scripted",  # scripted_server.py with the scenario's script
    "model",  # serve, with the daemon and the bundled model
    "no model",  # serve, told to load a model that is not there
)
KEYS = (
    *("accept", "accept_word", "accept_line", "next", "prev", "dismiss", "undo"),
    *("up", "down", "left", "right", "home", "end", "backspace"),
)
STEPS: dict[str, dict[str, type | tuple[type, ...]]] = {
    "type": {"every": int, "steady": bool},  # keys; milliseconds between them; ghost text must not vanish meanwhile
    "press": {},  # one of KEYS
    "paste": {},
    "shows": {},  # the cursor's line with ghost text in it, and the lines of ghost text below
    "rests": {},  # the last answer is there, and there is still ghost text
    "holds": {},  # the file, apart from line ends at its end, when it is saved
    "nothing": {},  # no ghost text, for so many seconds after the last answer
    "waits": {},  # for so many suggestions that were asked for and not answered
    "kill": {},  # the server's process
    "says": {},  # the editor shows a message that contains this
    "messages": {},  # the editor has shown so many
    "set": {},  # the settings of incoder at run time
    "open": {},  # another file in the same window
    "window": {},  # another file in another window of the same editor
    "models": {},  # so many processes hold a model
    "choose": {},  # the code action of this title at the cursor
    "confirm": {},  # its edits, where the editor asks
}


@dataclass(frozen=True)
class Scenario:
    name: str
    files: dict[str, str]
    """Their names and texts; the first is open when the scenario begins."""
    steps: list[dict[str, Any]]
    saved: dict[str, str]
    """What is in the files when all is done and saved."""
    server: str = "scripted"
    script: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    """See scripted_server.py."""
    auto_close: bool = False
    """Whether the editor closes brackets."""
    editors: tuple[str, ...] = EDITORS

    def text(self, file: str) -> tuple[bytes, int, int]:
        """What the file holds before, and where the cursor is: line and character (code points), from 0."""
        before, _, after = self.files[file].partition(CURSOR)
        return (before + after).encode(), before.count("\n"), len(before.rpartition("\n")[2])


def load(editor: str) -> list[Scenario]:
    """The scenarios for one editor, those that fit into one window of it together. Raises ValueError."""
    everything = [one for file in sorted(FOLDER.glob("*.toml")) for one in read(file) if editor in one.editors]
    return sorted(everything, key=lambda one: (SERVERS.index(one.server), one.auto_close))


def read(file: Path) -> list[Scenario]:
    """Raises ValueError, whose message names file and scenario."""
    found = []
    text = REPEATED.sub(lambda match: int(match[1]) * match[2], file.read_text(encoding="utf-8"))
    for data in tomllib.loads(text)["scenario"]:
        if fault := fault_of(data):
            raise ValueError(f"{file.name}, {data.get('name', 'a scenario without a name')}: {fault}")
        found.append(Scenario(**{**data, "editors": tuple(data.get("editors", EDITORS))}))
    return found


def fault_of(data: dict[str, Any]) -> str | None:
    names = [item.name for item in fields(Scenario)]
    missing = [name for name in names[:4] if not data.get(name)]
    unknown = [name for name in data if name not in names]
    if missing or unknown:
        return f"it lacks {missing}" if missing else f"nobody knows {unknown}"
    if data.get("server", "scripted") not in SERVERS or not {*data.get("editors", ())} <= {*EDITORS}:
        return f"its server is one of {SERVERS}, its editors are some of {EDITORS}"
    entered = [next(iter(data["files"])), *(step[v] for step in data["steps"] for v in ("open", "window") if v in step)]
    for name, text in data["files"].items():
        if text.count(CURSOR) != (name in entered):
            return f"{name} must have one {CURSOR} if it is opened, and none if not"
    if not {*data["saved"], *entered} <= {*data["files"]}:
        return "what is opened or saved must be among its files"
    return next((fault for step in data["steps"] if (fault := _fault_of_step(step))), None)


def _fault_of_step(step: dict[str, Any]) -> str | None:
    verb = next(iter(step), "")
    if verb not in STEPS or not {*step} - {verb} <= {*STEPS[verb]}:
        return f"a step is one of {', '.join(STEPS)}, with its options; this one is {step}"
    if verb == "press" and step[verb] not in KEYS:
        return f"{step[verb]!r} is no key; keys are {', '.join(KEYS)}"
    return None
