-- How Neovim starts the language server; `vim.lsp.config("incoder", ...)` and `setup()` override single fields.
return {
  cmd = { "incoder-lsp", "serve" },
  filetypes = { "python" },
  root_markers = { "pyproject.toml", "setup.py", ".git" },
}
