"""What only infilling can do, as code actions: the menu is made without the model, the edit when the user has chosen.

| module | |
|---|---|
| `source.py`, `action.py` | a file and its tree; what actions are made of |
| `fill.py`, with `holes.py` and `judge.py` | the holes of a selection, a function, a file |
| `annotate.py`, with `annotation.py` | return and argument types; `inlay.py` shows them, `kept.py` keeps them |
| `docstring.py` | docstrings in the style of the file |
| `docstring_line.py` | the same behind opening quotes, as a completion |
| `surprise.py`, with `unlikely.py` | words that surprise the model, as hints |
| `names.py`, with `variables.py` | names for variables, by vote |
| `edits.py`, `running.py`, `handlers.py` | the protocol's side: edits, the life of a request, what is answered |

A new action is a module with an `ACTION`, and its name in the list below.
"""

from __future__ import annotations

from incoder_lsp.actions import annotate, docstring, fill, names
from incoder_lsp.actions.action import Action

ACTIONS: tuple[Action, ...] = (fill.ACTION, annotate.ACTION, docstring.ACTION, names.ACTION)
