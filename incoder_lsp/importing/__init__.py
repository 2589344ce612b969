"""A completion with its import: a suggestion may use a name that its file does not have but other files of the workspace import,
and when it is accepted the line that imports it is written, too.

| module | |
|---|---|
| `statements.py` | what a Python file imports at its top, and what it defines there |
| `index.py` | the files of a workspace: a name goes in, how they import it comes out |
| `unresolved.py` | which names of a file come from nowhere |
| `placing.py` | where the statement goes |
| `workspace.py`, `accepted.py` | a session's side: files are read, the edit is made |
"""
