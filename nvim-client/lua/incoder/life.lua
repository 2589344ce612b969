-- The server's end and its new beginning. In: the exit code of its process. Out: a server that ended by itself is
-- started again in the buffers it had, and the user is told once; one that cannot live is not started for ever.
local server = require("incoder.server")
local M = {}

local PATIENCE = { deaths = 3, seconds = 60 }
local PAUSE_MS = 300
---@type integer[] when it died, in seconds
local deaths = {}

---@param config vim.lsp.ClientConfig
---@param buffers integer[]
local function start(config, buffers)
  for _, buf in ipairs(vim.tbl_filter(vim.api.nvim_buf_is_loaded, buffers)) do
    vim.lsp.start(config, { bufnr = buf })
  end
end

--- Neovim reports an unexpected exit code itself, so what is said here is only what follows from it.
---@param code integer
---@param signal integer
---@param id integer of the client
function M.ended(code, signal, id)
  local client = vim.lsp.get_client_by_id(id)
  local asked_to = (code == 0 and signal == 0) or signal == 15 -- SIGTERM: by Neovim, or by somebody who means it
  if not client or asked_to then
    return
  end
  local buffers, born = vim.tbl_keys(client.attached_buffers), client.initialized
  vim.schedule(function()
    if vim.v.exiting ~= vim.NIL then
      return
    elseif not born then
      return server.say("the server could not start; :Incoder log shows what it said.", vim.log.levels.ERROR)
    end
    local now = os.time()
    deaths = vim.tbl_filter(function(time)
      return now - time < PATIENCE.seconds
    end, deaths)
    deaths[#deaths + 1] = now
    if #deaths > PATIENCE.deaths then
      local sentence = "the server keeps ending and is left alone now; :Incoder log shows why, :Incoder restart tries."
      return server.say(sentence, vim.log.levels.ERROR)
    end
    vim.defer_fn(function()
      start(client.config, buffers)
      server.say("the server ended unexpectedly and was started again.", vim.log.levels.WARN)
    end, PAUSE_MS)
  end)
end

--- Stop the servers, and start them again where they were; where there is none, wherever one belongs.
function M.restart()
  deaths = {}
  local clients = server.all()
  for _, client in ipairs(clients) do
    local config, buffers = client.config, vim.tbl_keys(client.attached_buffers)
    require("incoder.compat").call(client, "stop", true)
    vim.defer_fn(function()
      start(config, buffers)
    end, PAUSE_MS)
  end
  if #clients == 0 then
    local group = vim.lsp.config and "nvim.lsp.enable" or "incoder.start"
    if not pcall(vim.cmd.doautoall, group .. " FileType") then
      server.say("no server is set up; call require('incoder').setup() first.", vim.log.levels.WARN)
    end
  end
end

return M
