-- The server as the other rooms see it. In: a buffer, a method. Out: its client, its answer; and what the user must
-- know.
local compat = require("incoder.compat")
local M = { NAME = "incoder" }
local METHOD_NOT_FOUND = -32601

--- One sentence for the user.
---@param sentence string
---@param level? integer of vim.log.levels; default INFO
function M.say(sentence, level)
  vim.notify("InCoder: " .. sentence, level or vim.log.levels.INFO)
end

---@param buf? integer default: all buffers
---@return vim.lsp.Client[]
function M.all(buf)
  return vim.lsp.get_clients({ name = M.NAME, bufnr = buf })
end

--- The current buffer's server. Where there is none the user hears so.
---@return vim.lsp.Client?
function M.here()
  local client = M.all(vim.api.nvim_get_current_buf())[1]
  if not client then
    M.say("no server is attached to this buffer; :checkhealth incoder tells why.", vim.log.levels.WARN)
  end
  return client
end

--- Ask, and go on with the answer. An error becomes one sentence.
---@param client vim.lsp.Client
---@param method string
---@param params table
---@param take? fun(result: any)
function M.ask(client, method, params, take)
  local function answered(err, result)
    if err and err.code == METHOD_NOT_FOUND then
      M.say(("this server is too old for %s; update incoder-lsp."):format(method), vim.log.levels.WARN)
    elseif err then
      M.say(err.message, vim.log.levels.ERROR)
    elseif take then
      take(result)
    end
  end
  compat.call(client, "request", method, params, answered, vim.api.nvim_get_current_buf())
end

---@param client vim.lsp.Client
---@param command string
---@return boolean
function M.has_command(client, command)
  local provider = client.server_capabilities.executeCommandProvider
  return provider ~= nil and vim.list_contains(provider.commands or {}, command)
end

---@param client vim.lsp.Client
---@param command lsp.Command|{ command: string, arguments?: any[] }
function M.execute(client, command)
  M.ask(client, "workspace/executeCommand", { command = command.command, arguments = command.arguments })
end

---@param client vim.lsp.Client
---@return lsp.TextDocumentPositionParams at the cursor
function M.position(client)
  local row, col = unpack(vim.api.nvim_win_get_cursor(0))
  local left = vim.api.nvim_get_current_line():sub(1, col)
  return {
    textDocument = vim.lsp.util.make_text_document_params(),
    position = { line = row - 1, character = compat.units(left, client.offset_encoding) },
  }
end

--- Change one of the server's settings for this session; a restart keeps it.
---@param client vim.lsp.Client
---@param name string
---@param value any
function M.set(client, name, value)
  client.settings.incoder = vim.tbl_extend("force", client.settings.incoder or {}, { [name] = value })
  client.config.settings = client.settings
  compat.call(client, "notify", "workspace/didChangeConfiguration", { settings = client.settings })
end

return M
