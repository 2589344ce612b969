-- The plug-in's front door: `require("incoder").setup()` starts the server through vim.lsp, and the functions below act
-- on the ghost text of the current buffer. Each returns false if there was nothing to act on, so that a mapping can
-- fall back to the key's own meaning.
local M = {}

---@param action string a function of incoder.Engine
---@return boolean acted
local function act(action, ...)
  local buf = vim.api.nvim_get_current_buf()
  local engine = require("incoder.attach").engine(buf)
  return engine ~= nil and engine[action](buf, ...)
end

--- Accept the whole suggestion.
---@return boolean accepted
function M.accept()
  return act("accept", "all")
end

--- Accept the next word, keep showing the rest.
---@return boolean accepted
function M.accept_word()
  return act("accept", "word")
end

--- Accept up to the end of the line, keep showing the rest.
---@return boolean accepted
function M.accept_line()
  return act("accept", "line")
end

--- Hide the suggestion until something is typed.
---@return boolean dismissed
function M.dismiss()
  return act("dismiss")
end

--- Show the next of several suggestions; where only one is there, the server is asked for more.
---@return boolean moved
function M.next()
  return act("select", 1)
end

--- Show the previous of several suggestions.
---@return boolean moved
function M.prev()
  return act("select", -1)
end

--- Ask for suggestions here and now, several of them, and of several lines.
---@return boolean asked
function M.trigger()
  return act("trigger")
end

--- No suggestions until `resume`.
---@param scope? "buffer" default: the whole session
function M.pause(scope)
  require("incoder.switch").set(false, scope)
end

---@param scope? "buffer" default: the whole session
function M.resume(scope)
  require("incoder.switch").set(true, scope)
end

--- A component for the status line: "InCoder ready"; empty where no server is attached.
---@return string
function M.status()
  return require("incoder.status").component()
end

---@param opts? incoder.Options
function M.setup(opts)
  if vim.fn.has("nvim-0.10") == 0 then
    error("incoder needs Neovim 0.10 or newer; this is " .. tostring(vim.version()), 2)
  end
  opts = require("incoder.options").take(opts)
  vim.cmd.runtime("plugin/incoder.lua") -- package managers that load late may not have
  require("incoder.start")(opts)
end

return M
