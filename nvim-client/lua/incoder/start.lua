-- Starting the server. In: the options of `setup()`. Out: a client "incoder" in every matching buffer, by vim.lsp.enable()
-- or, on Neovim 0.10, which has none, in the same way by hand.
local NAME = require("incoder.server").NAME

--- Neovim 0.10 takes a client's capabilities as they are, and finds no configuration by itself.
---@param fields vim.lsp.ClientConfig|{ filetypes?: string[], root_markers: string[] }
local function by_hand(fields)
  local file = assert(vim.api.nvim_get_runtime_file("lsp/incoder.lua", false)[1])
  local config = vim.tbl_deep_extend("force", dofile(file), fields, { name = NAME })
  config.capabilities =
    vim.tbl_deep_extend("force", vim.lsp.protocol.make_client_capabilities(), config.capabilities)
  vim.api.nvim_create_autocmd("FileType", {
    group = vim.api.nvim_create_augroup("incoder.start", {}),
    pattern = config.filetypes or "*",
    callback = function(event)
      if vim.bo[event.buf].buftype == "" then -- an actual file
        local root = vim.fs.root(event.buf, config.root_markers)
        vim.lsp.start(vim.tbl_extend("force", config, { root_dir = root }), { bufnr = event.buf })
      end
    end,
  })
  if vim.v.vim_did_enter == 1 then
    vim.cmd.doautoall("incoder.start FileType")
  end
end

---@param opts incoder.Options
return function(opts)
  local fields = {
    cmd = opts.cmd,
    filetypes = opts.filetypes,
    root_markers = opts.root_markers,
    settings = opts.settings and { incoder = opts.settings },
  }
  if vim.lsp.config then
    vim.lsp.config(NAME, fields)
    vim.lsp.enable(NAME)
  else
    by_hand(fields)
  end
end
