"""The files of a run: OUT, its result, which is written whole, and beside it OUT.partial.jsonl while the run goes on. Of that
one the first line is the run's fingerprint, and every other line is a finished batch. A line that a kill cut short is cut off."""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import TracebackType
from typing import IO, Any

from incoder_train.errors import UserError

Fingerprint = dict[str, Any]  # what decides a run's result


class Journal:
    """The batches of a run that are done; a context manager. Without `out` nothing is kept."""

    def __init__(self, out: Path | None, fingerprint: Fingerprint):
        """Raises UserError if what is there belongs to another run."""
        self.batches: list[dict[str, Any]] = []
        self.path = out and out.with_name(f"{out.name}.partial.jsonl")
        self._file: IO[bytes] | None = None
        if self.path is None:
            return
        self.path.parent.mkdir(parents=True, exist_ok=True)
        self._file = self.path.open("a+b")
        try:
            self._go_on(self._file, fingerprint)
        except BaseException:
            self._file.close()
            raise

    def _go_on(self, file: IO[bytes], fingerprint: Fingerprint) -> None:
        file.seek(0)
        lines, whole = [], 0
        for line in file:
            if not line.endswith(b"\n"):
                break
            try:
                lines.append(json.loads(line))
            except ValueError:
                break
            whole += len(line)
        file.truncate(whole)
        if lines:
            require_same(lines[0], fingerprint, str(self.path))
            self.batches = lines[1:]
        else:
            self._write(fingerprint)

    @property
    def cases(self) -> int:
        """How many are done: they are the first ones."""
        return sum(len(batch["cases"]) for batch in self.batches)

    def append(self, batch: dict[str, Any]) -> None:
        """When this returns the batch is on the disk."""
        self.batches.append(batch)
        self._write(batch)

    def remove(self) -> None:
        if self.path:
            self.path.unlink()

    def _write(self, line: dict[str, Any]) -> None:
        if self._file:
            self._file.write(json.dumps(line).encode() + b"\n")
            self._file.flush()
            os.fsync(self._file.fileno())

    def __enter__(self) -> Journal:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file:
            self._file.close()


def read_result(out: Path, fingerprint: Fingerprint) -> dict[str, Any] | None:
    """What `write_result` wrote, or None if there is nothing. Raises UserError if it is of another run."""
    if not out.exists():
        return None
    try:
        result = json.loads(out.read_bytes())
        theirs = result["fingerprint"]
    except (ValueError, TypeError, LookupError):
        raise UserError(f"{out} is no result of `incoder eval`; give another --json") from None
    require_same(theirs, fingerprint, str(out))
    return result


def write_result(out: Path, result: dict[str, Any]) -> None:
    unfinished = out.with_name(f".{out.name}.unfinished")
    unfinished.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    unfinished.replace(out)


def require_same(theirs: Fingerprint, ours: Fingerprint, where: str) -> None:
    """Raises UserError that names the first difference."""
    for key, value in ours.items():
        if theirs.get(key) != value:
            raise UserError(
                f"{where} is of another run: there, {key} is {_short(theirs.get(key))}, here {_short(value)}; "
                "give another --json, or delete the file to begin anew"
            )


def _short(value: Any) -> str:
    return f"{value[:12]}..." if isinstance(value, str) and len(value) == 64 else repr(value)
