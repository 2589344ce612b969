-- Whether suggestions are wanted. In: `vim.g.incoder` and `vim.b.incoder`, which anyone may set to false at any time.
-- Out: why there are none, and `pause` and `resume`, which set them.
local M = {}

---@param buf integer
---@return string? reason nil where suggestions are wanted
function M.reason(buf)
  if vim.g.incoder == false then
    return "paused; :Incoder resume goes on"
  elseif vim.b[buf].incoder == false then
    return "off in this buffer; :Incoder resume buffer goes on"
  end
end

---@param wanted boolean
---@param scope? "buffer" default: the whole session
function M.set(wanted, scope)
  vim[scope == "buffer" and "b" or "g"].incoder = wanted
  if not wanted then
    require("incoder").dismiss()
  end
  vim.cmd.redrawstatus({ bang = true })
end

return M
