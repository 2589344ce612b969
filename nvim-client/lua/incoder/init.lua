-- The plug-in's front door: `require("incoder").setup()` starts the server through vim.lsp, and the functions below act
-- on the ghost text of the current buffer. Each returns false if there was nothing to act on, so that a mapping can
-- fall back to the key's own meaning.
local api = vim.api
local M = {}

local NAME = "incoder"
local METHOD = "textDocument/inlineCompletion"

---@return table engine ghost text by Neovim itself where it can (0.12), else by us
local function engine()
  return require(vim.lsp.inline_completion and "incoder.native" or "incoder.ghost")
end

--- Accept the whole suggestion.
---@return boolean accepted
function M.accept()
  return engine().accept(api.nvim_get_current_buf(), "all")
end

--- Accept the next word, keep showing the rest.
---@return boolean accepted
function M.accept_word()
  return engine().accept(api.nvim_get_current_buf(), "word")
end

--- Accept up to the end of the line, keep showing the rest.
---@return boolean accepted
function M.accept_line()
  return engine().accept(api.nvim_get_current_buf(), "line")
end

--- Hide the suggestion until something is typed.
---@return boolean dismissed
function M.dismiss()
  return engine().dismiss(api.nvim_get_current_buf())
end

--- Show the next of several suggestions.
---@return boolean moved
function M.next()
  return engine().select(api.nvim_get_current_buf(), 1)
end

--- Show the previous of several suggestions.
---@return boolean moved
function M.prev()
  return engine().select(api.nvim_get_current_buf(), -1)
end

local ACTIONS = { "accept", "accept_word", "accept_line", "dismiss", "next", "prev" }

--- Where there is no suggestion the key does what it did before, Neovim's own default <Tab> mapping included.
---@param lhs string
---@param action string
---@param buf integer
local function map(lhs, action, buf)
  local description = "incoder: " .. action:gsub("_", " ")
  local before = vim.fn.maparg(lhs, "i", false, true)
  if before.desc == description then
    return -- attached again, after a restart of the server
  end
  vim.keymap.set("i", lhs, function()
    if M[action]() then
      return ""
    elseif before.callback and before.expr == 1 then
      return before.callback()
    end
    return lhs
  end, { buffer = buf, expr = true, desc = description })
end

--- NonText has a colour only where the terminal shows true colours; elsewhere ghost text would look like code.
local function dim()
  api.nvim_set_hl(0, "ComplHint", { link = "NonText", default = true })
  local now = api.nvim_get_hl(0, { name = "ComplHint", link = false })
  if not now.ctermfg then
    api.nvim_set_hl(0, "ComplHint", { fg = now.fg, bg = now.bg, ctermfg = 8 })
  end
end

---@class incoder.Options
---@field cmd? string[] how to start the server; default { "incoder-lsp", "serve" }
---@field filetypes? string[] default { "python" }
---@field root_markers? string[] files that mark a project's root
---@field keymaps? table<string, string> action (see ACTIONS) to insert-mode key; default: none

---@param opts? incoder.Options
function M.setup(opts)
  if vim.fn.has("nvim-0.11") == 0 then
    error("incoder needs Neovim 0.11 or newer; this is " .. tostring(vim.version()), 2)
  end
  opts = opts or {}
  for name in pairs(opts) do
    if not vim.list_contains({ "cmd", "filetypes", "root_markers", "keymaps" }, name) then
      error(("incoder: unknown option %q; known are cmd, filetypes, root_markers and keymaps"):format(name), 2)
    end
  end
  local keymaps = opts.keymaps or {}
  for action in pairs(keymaps) do
    if not vim.list_contains(ACTIONS, action) then
      error(("incoder: unknown keymap %q; known are %s"):format(action, table.concat(ACTIONS, ", ")), 2)
    end
  end

  local group = api.nvim_create_augroup(NAME, {})
  dim()
  api.nvim_create_autocmd("ColorScheme", { group = group, callback = dim })
  api.nvim_create_autocmd("LspAttach", {
    group = group,
    callback = function(event)
      local client = assert(vim.lsp.get_client_by_id(event.data.client_id))
      if client.name ~= NAME or not client:supports_method(METHOD, event.buf) then
        return
      end
      engine().attach(client, event.buf)
      for action, lhs in pairs(keymaps) do
        map(lhs, action, event.buf)
      end
    end,
  })
  api.nvim_create_autocmd("LspDetach", {
    group = group,
    callback = function(event)
      local client = vim.lsp.get_client_by_id(event.data.client_id)
      if client and client.name == NAME then
        engine().detach(event.buf)
      end
    end,
  })

  vim.lsp.config(NAME, {
    cmd = opts.cmd,
    filetypes = opts.filetypes,
    root_markers = opts.root_markers,
    -- Neovim 0.11 does not announce what we add to it, and the server would offer the same text in the popup as well.
    capabilities = { textDocument = { inlineCompletion = { dynamicRegistration = false } } },
  })
  vim.lsp.enable(NAME)
end

return M
