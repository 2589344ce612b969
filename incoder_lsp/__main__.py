"""`python -m incoder_lsp` is the command `incoder-lsp`."""

from incoder_lsp.cli import app

if __name__ == "__main__":
    app(prog_name="incoder-lsp")
