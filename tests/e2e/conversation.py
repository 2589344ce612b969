"""What was said between an editor and its server, read from a recorder's log: since a scenario began, if `skip` says so."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

INLINE = "textDocument/inlineCompletion"


@dataclass(frozen=True)
class Conversation:
    log: Path
    skip: int = 0
    """Bytes at the log's beginning that belong to earlier scenarios."""

    def entries(self) -> list[dict[str, Any]]:
        whole, _, _ = self.log.read_bytes()[self.skip :].rpartition(b"\n")
        return [json.loads(line) for line in whole.splitlines()]

    def said(self, by: str) -> list[dict[str, Any]]:
        return [entry["message"] for entry in self.entries() if entry["from"] == by]

    def server(self) -> int:
        """The process of the server that started last, in whichever scenario."""
        return [e["pid"] for e in Conversation(self.log).entries() if e["from"] == "recorder"][-1]

    def has_opened(self, file: str) -> bool:
        """Whether the server knows the file, or a cell of it, by the end of its path."""
        opened = (
            m["params"]["textDocument"]["uri"] for m in self.said("editor") if m.get("method") == "textDocument/didOpen"
        )
        return any(uri.partition("#")[0].endswith(file) for uri in opened)

    def has_loaded(self) -> bool:
        """Whether the server has loaded its model: its first progress has ended."""
        said = (message for message in self.said("server") if message.get("method") == "$/progress")
        return any(message["params"]["value"]["kind"] == "end" for message in said)

    def told(self, method: str) -> int:
        """How often the editor has said this."""
        return sum(message.get("method") == method for message in self.said("editor"))

    def unanswered(self) -> int:
        """How many requests for a suggestion have no answer yet."""
        answered = {message.get("id") for message in self.said("server") if "method" not in message}
        return sum(m.get("method") == INLINE and m["id"] not in answered for m in self.said("editor"))

    def suggested(self) -> tuple[int, str]:
        """The last suggestion: where on its line it begins, in code units, and its text; "" if there was none."""
        for message in reversed(self.said("server")):
            result = "method" not in message and message.get("result")
            items = result.get("items") if isinstance(result, dict) else result
            if items and isinstance(items, list) and "insertText" in items[0]:
                return items[0]["range"]["start"]["character"], items[0]["insertText"]
        return 0, ""

    def edits(self) -> list[dict[str, Any]] | None:
        """Those of the last code action, the last of the file first; None before it is answered."""
        asked = {message["id"] for message in self.said("editor") if message.get("method") == "codeAction/resolve"}
        answers = [message for message in self.said("server") if "method" not in message and message["id"] in asked]
        if not answers:
            return None
        changes = (answers[-1].get("result") or {}).get("edit") or {}
        edits = [one for document in changes.get("documentChanges", []) for one in document["edits"]]
        edits += [one for ones in changes.get("changes", {}).values() for one in ones]
        return sorted(
            edits, key=lambda one: (one["range"]["start"]["line"], one["range"]["start"]["character"]), reverse=True
        )
