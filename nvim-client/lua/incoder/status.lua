-- How the server is. In: its notifications `incoder/status`. Out: a component for the status line, a sentence for the
-- user, and the autocommand `User IncoderStatus` at each change.
local server = require("incoder.server")
local switch = require("incoder.switch")
local M = {}

---@class incoder.Status
---@field state "loading"|"ready"|"busy"|"off"|"error"
---@field message string
---@field model string
---@field latencyMs? number

---@type table<integer, incoder.Status> by client
local known = {}

---@type lsp.Handler
function M.take(_, params, context)
  known[context.client_id] = params
  vim.api.nvim_exec_autocmds("User", { pattern = "IncoderStatus", modeline = false })
  vim.cmd.redrawstatus({ bang = true })
end

---@param client vim.lsp.Client
---@return incoder.Status? status nil if the server has not told, as older ones do not
function M.of(client)
  return known[client.id]
end

--- For the status line, short: "InCoder ready". Empty where no server is attached. "busy" is as wide as "ready", so
--- that nothing moves while the user types.
---@param buf? integer default: the current buffer
---@return string
function M.component(buf)
  buf = buf or vim.api.nvim_get_current_buf()
  local client = server.all(buf)[1]
  if not client then
    return ""
  end
  local status = known[client.id]
  local state = switch.reason(buf) and "paused" or status and status.state or "on"
  return "InCoder " .. (state == "busy" and "busy " or state)
end

---@param status? incoder.Status
---@return string sentence all that is known, in one line
function M.describe(status)
  if not status then
    return "attached; this server does not tell how it is"
  end
  local parts = { status.state }
  for _, part in ipairs({ status.message, status.model }) do
    parts[#parts + 1] = type(part) == "string" and part ~= "" and part or nil
  end
  if type(status.latencyMs) == "number" then
    parts[#parts + 1] = ("%.0f ms"):format(status.latencyMs)
  end
  return table.concat(parts, ", ")
end

return M
