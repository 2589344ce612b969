-- The options of `setup()`. In: the user's table. Out: the same, checked; a mistake is an error that names what is
-- known.
local ACTIONS = require("incoder.keymaps").ACTIONS
local M = {}

---@class incoder.Options
---@field cmd? string[] how to start the server; default { "incoder-lsp", "serve" }
---@field filetypes? string[] default: all
---@field root_markers? string[] files that mark a project's root
---@field settings? table<string, any> the server's own settings, e.g. { mode = "subtle", maxTokens = 32 }
---@field keymaps? table<string, string> action (see incoder-actions) to insert-mode key; default: none
---@field native? boolean let Neovim 0.12 ask and draw by itself; default false
local KNOWN = { "cmd", "filetypes", "root_markers", "settings", "keymaps", "native" }

--- What `setup()` was told last.
---@type { keymaps: table<string, string>, native: boolean }
M.current = { keymaps = {}, native = false }

---@param given table
---@param known string[]
---@param what string
local function check(given, known, what)
  for name in pairs(given) do
    if not vim.list_contains(known, name) then
      error(("incoder: unknown %s %q; known are %s"):format(what, name, table.concat(known, ", ")), 0)
    end
  end
end

---@param opts? incoder.Options
---@return incoder.Options
function M.take(opts)
  opts = opts or {}
  check(opts, KNOWN, "option")
  check(opts.keymaps or {}, ACTIONS, "keymap")
  M.current = { keymaps = opts.keymaps or {}, native = opts.native == true }
  return opts
end

return M
