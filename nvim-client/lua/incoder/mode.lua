-- Insert mode. In: a buffer. Out: whether the user is typing there, and the way in.
local api = vim.api
local M = {}

---@param buf integer
---@return boolean
function M.inserting(buf)
  return api.nvim_get_current_buf() == buf and api.nvim_get_mode().mode:sub(1, 1) == "i"
end

--- At the cursor, or behind the end of the line where the cursor stands on its last character.
function M.enter()
  local _, col = unpack(api.nvim_win_get_cursor(0))
  local last = col >= #api.nvim_get_current_line() - 1
  vim.cmd.startinsert({ bang = last })
end

return M
