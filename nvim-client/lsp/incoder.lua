-- How Neovim starts the language server; `vim.lsp.config("incoder", ...)` and `setup()` override single fields. Without
-- `filetypes` it is every file's: the server itself knows where to be silent.
return {
  cmd = { "incoder-lsp", "serve" },
  root_markers = { "pyproject.toml", "setup.py", ".git" },
  capabilities = {
    -- Neovim 0.11 does not announce what we add to it, and the server would offer the same text in the popup as well.
    textDocument = { inlineCompletion = { dynamicRegistration = false } },
    experimental = { incoder = { status = true } },
  },
  -- Neovim sends settings when the server is there already; it should not load another model before them.
  before_init = function(params, config)
    params.initializationOptions = params.initializationOptions or vim.tbl_get(config, "settings", "incoder")
  end,
  on_exit = function(...)
    require("incoder.life").ended(...)
  end,
}
