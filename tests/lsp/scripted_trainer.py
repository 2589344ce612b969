"""What `incoder train finetune-repo` does to a run's folder, without learning anything. Not a test.

    scripted_trainer.py PLAN --data FOLDER --out RUN --init MODEL [--minutes N]

PLAN is a folder: `code` says how to end, `model` is what is offered then, `wait` is there as long as the training goes on.
What it was asked is written to PLAN/asked.json, with the ids of its process and its niceness.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from pathlib import Path

if __name__ == "__main__":
    plan, *rest = sys.argv[1:]
    plan, asked = Path(plan), dict(zip(rest[::2], rest[1::2], strict=True))
    run = Path(asked["--out"])
    run.mkdir()
    (run / "recipe.json").write_text(json.dumps({"run": {"steps": 100, "minutes": 10}}))
    (run / "metrics.jsonl").write_text('{"step": 25, "seconds": 60.0}\n{"step": 25, "validation_loss": 3}\n{"st')
    unfinished = plan / "asked.unfinished"
    unfinished.write_text(json.dumps({**asked, "pid": os.getpid(), "nice": os.nice(0)}))
    unfinished.rename(plan / "asked.json")
    while (plan / "wait").exists():
        time.sleep(0.05)
    code = int((plan / "code").read_text())
    if code == 0:
        shutil.copytree(plan / "model", run / "model")
        (run / "judgement.json").write_text(json.dumps({"improved": True, "gain": 0.5, "error": 0.1}))
    if code == 1:
        print("incoder: shapes has 2 files of source code to learn from; at least 5 are needed", file=sys.stderr)
    sys.exit(code)
