-- The keys that the user named. In: a key, an action. Out: an insert-mode mapping of one buffer that keeps the key's
-- former meaning wherever the action finds nothing to act on.
local M = {}

--- Functions of `require("incoder")` that a key can have.
M.ACTIONS = { "accept", "accept_word", "accept_line", "dismiss", "next", "prev", "trigger" }

---@param action string
---@return string
function M.description(action)
  return "incoder: " .. action:gsub("_", " ")
end

--- Neovim's own default <Tab> mapping is a former meaning, too.
---@param lhs string
---@param action string
---@param buf integer
function M.map(lhs, action, buf)
  local description = M.description(action)
  local before = vim.api.nvim_buf_call(buf, function()
    return vim.fn.maparg(lhs, "i", false, true)
  end)
  if before.desc == description then
    return -- attached again, after a restart of the server
  end
  vim.keymap.set("i", lhs, function()
    if require("incoder")[action]() then
      return ""
    elseif before.callback and before.expr == 1 then
      return before.callback()
    end
    return lhs
  end, { buffer = buf, expr = true, desc = description })
end

return M
