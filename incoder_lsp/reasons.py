"""Why nothing is suggested, for people: the few words in which the rooms say it come in, a code and a sentence go out.

The code is for programs and stays as it is; the sentence says what can be done about it, where something can. `{}` in the words
stands for a name, which the sentence may repeat.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Reason:
    code: str
    message: str


ASK = "ask for a suggestion, and one comes"
REASONS: dict[str, tuple[str, str]] = {
    # the session
    "switched off": ("off", "Suggestions are switched off here; set incoder.enabled to true."),
    "the model is not ready": ("loading", "The model is still loading; suggestions begin when it is there."),
    "the backend is away": ("backendAway", "The server that completes does not answer; see whether it runs."),
    "failed": ("failed", "Something failed inside; the server's log says where."),
    # the file
    "the file may hold secrets": ("secrets", "By its name this file may hold secrets, and such files are left alone."),
    "switched off for {} by offLanguages": (
        "language",
        "Suggestions are switched off for {}; take it out of incoder.offLanguages.",
    ),
    "switched off for this file by offFiles": (
        "file",
        "A pattern in incoder.offFiles names this file; change it if that was not meant.",
    ),
    "git ignores the file": ("gitignored", f"Git ignores this file; set incoder.gitignored to true, or {ASK}."),
    "the file may hold a password among its settings": (
        "settingsFile",
        f"By its name this file may hold a password among its settings; {ASK}.",
    ),
    "the file is very large": ("large", f"This file is very large; {ASK}."),
    "the file is binary": ("binary", f"This file is binary; {ASK}."),
    "the file is minified": ("minified", f"This line is so long that no person has written it; {ASK}."),
    # the moment
    "only when asked, in manual mode": ("manual", f"The mode is manual, so nothing is computed until asked; {ASK}."),
    "shown when asked, in subtle mode": ("subtle", f"There is a suggestion, and the mode is subtle; {ASK} at once."),
    "after an undo": ("afterUndo", f"You have just taken something back; type on, or {ASK}."),
    "after an accepted suggestion": ("afterAccept", f"You have just taken a suggestion over; type on, or {ASK}."),
    "after a deletion": ("afterDeletion", f"You have just deleted something; type on, or {ASK}."),
    "inside a word": ("insideWord", f"The cursor is inside a word; go to its end, or {ASK}."),
    "after a statement": ("afterStatement", f"The statement has ended; begin a new line, or {ASK}."),
    "superseded": ("superseded", "You typed on before the answer came; wait a moment."),
    # what the model said
    "": ("nothing", "The model has nothing to say here; type a little more."),
    "empty": ("empty", "The model thinks that nothing is missing here; type a little more."),
    "in doubt": (
        "doubt",
        f"The model was not sure enough of anything; type a little more, set incoder.stopAtDoubt to off, or {ASK}.",
    ),
    "too short to help": (
        "short",
        f"It would have been a character or two, which are typed sooner than read; or {ASK}.",
    ),
    "stands there already": ("standsThere", "What the model says stands to the right of the cursor already."),
    "repeats the next line": ("repeatsBelow", "The model only repeated the line below; type a little more."),
    "repeats the line above": ("repeatsAbove", "The model only repeated the line above; type a little more."),
    "repeats itself": ("circles", "The model went round in circles; type a little more."),
    "unbalanced brackets": ("brackets", "The suggestion would have left a bracket open; type a little more."),
    "would not parse": ("syntax", "With the suggestion the code would not have been valid Python; type a little more."),
    "no sentence for this docstring": (
        "docstring",
        "The model found no sentence for this docstring; write its first words, and it goes on from there.",
    ),
    "{} is no name in sight": ("unknownName", "The suggestion used {}, which is defined nowhere in sight."),
}

NOT_OPEN = Reason("notOpen", "The server does not know this file as an open one; open it again.")
NOT_ASKED = Reason("notAsked", "Nothing keeps a suggestion away here; it was not asked for yet.")
SUGGESTED = Reason("suggested", "There is a suggestion here.")


def reason_of(why: str) -> Reason:
    """For any words; those that are not in the table stand for themselves."""
    if why in REASONS:
        return Reason(*REASONS[why])
    for words, (code, sentence) in _WITH_NAMES.items():
        if found := words.fullmatch(why):
            return Reason(code, sentence.format(found[1]))
    return Reason("other", f"{why[:1].upper()}{why[1:]}.")


_WITH_NAMES = {
    re.compile(re.escape(words).replace(r"\{\}", "(.*)"), re.DOTALL): said
    for words, said in REASONS.items()
    if "{}" in words
}
