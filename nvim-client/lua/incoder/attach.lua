-- What happens in a buffer when the server comes and goes. In: LspAttach and LspDetach. Out: an engine that shows ghost
-- text there, the keys that the user named, and the server told which buffer has the focus.
local api = vim.api
local feedback = require("incoder.feedback")
local keymaps = require("incoder.keymaps")
local options = require("incoder.options")
local server = require("incoder.server")

local M = {}
local group = api.nvim_create_augroup("incoder.attach", {})

---@class incoder.Engine
---@field attach fun(client: vim.lsp.Client, buf: integer)
---@field detach fun(buf: integer)
---@field accept fun(buf: integer, unit: "all"|"word"|"line"): boolean
---@field dismiss fun(buf: integer): boolean
---@field select fun(buf: integer, step: integer): boolean
---@field trigger fun(buf: integer): boolean

---@type table<integer, { engine: incoder.Engine, client: integer }>
local attached = {}

--- Neovim's own inline completion where it was asked for, in `setup()` or by switching it on; else our ghost text.
---@param buf integer
---@return incoder.Engine
local function choose(buf)
  local own = vim.lsp.inline_completion
  local native = own and (options.current.native or own.is_enabled({ bufnr = buf }))
  return require(native and "incoder.native" or "incoder.ghost")
end

---@param buf integer
---@return incoder.Engine? engine nil where no server is attached
function M.engine(buf)
  return attached[buf] and attached[buf].engine
end

---@param buf integer
---@param id integer of a client
function M.LspAttach(buf, id)
  local client = vim.lsp.get_client_by_id(id)
  -- Asked of the capabilities themselves: before 0.12 Neovim holds that a method it does not know is supported.
  if not client or client.name ~= server.NAME or not client.server_capabilities.inlineCompletionProvider then
    return
  end
  require("incoder.draw").dim()
  attached[buf] = { engine = choose(buf), client = id }
  attached[buf].engine.attach(client, buf)
  for action, lhs in pairs(options.current.keymaps) do
    keymaps.map(lhs, action, buf)
  end
  local function focus()
    feedback.focus(client, buf)
  end
  api.nvim_create_autocmd("BufEnter", { group = group, buffer = buf, callback = focus })
  if api.nvim_get_current_buf() == buf then
    focus()
  end
end

---@param buf integer
---@param id integer of a client
function M.LspDetach(buf, id)
  if attached[buf] and attached[buf].client == id then -- and not the one that came after it
    api.nvim_clear_autocmds({ group = group, buffer = buf })
    attached[buf].engine.detach(buf)
    attached[buf] = nil
  end
end

return M
