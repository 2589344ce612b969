"""`python -m incoder_train` is the `incoder` command, for where its script is not on the PATH."""

from incoder_train.cli import app

app(prog_name="incoder")
