-- `:Incoder WORD ...`: a table of words, what each does, and what may follow it. In: the command line. Out: one action.
local server = require("incoder.server")
local switch = require("incoder.switch")
local M = {}

---@class incoder.Command
---@field run fun(client: vim.lsp.Client, word: string?, call: vim.api.keyset.create_user_command.command_args)
---@field alone? boolean it needs no server in this buffer
---@field words? string[] what may follow
---@field command? string of the server, without which it is not offered
---@type table<string, incoder.Command>
local COMMANDS = {}

---@param kind string
---@param nothing string
local function action(kind, nothing)
  return {
    run = function(client, _, call)
      require("incoder.actions")(client, kind, M.lines(call), function()
        server.say(nothing)
      end)
    end,
  }
end

---@param command string
local function execute(command)
  return {
    command = command,
    run = function(client)
      server.execute(client, { command = command })
    end,
  }
end

COMMANDS.status = {
  run = function(client)
    local status = require("incoder.status")
    server.say((switch.reason(vim.api.nvim_get_current_buf()) or status.describe(status.of(client))) .. ".")
  end,
}
COMMANDS.why = {
  run = function(client)
    local off = switch.reason(vim.api.nvim_get_current_buf())
    if off then
      return server.say(off .. ".")
    end
    server.ask(client, "incoder/whyNot", server.position(client), function(answer)
      server.say(answer and answer.message or "the server does not say.")
    end)
  end,
}
COMMANDS.prompt = {
  run = function(client, _, call)
    require("incoder.prompt")(client, call.smods)
  end,
}
COMMANDS.pause = {
  alone = true,
  words = { "buffer" },
  run = function(_, scope)
    require("incoder").pause(scope)
  end,
}
COMMANDS.resume = {
  alone = true,
  words = { "buffer" },
  run = function(_, scope)
    require("incoder").resume(scope)
  end,
}
COMMANDS.mode = {
  words = { "automatic", "subtle", "manual" },
  run = function(client, mode)
    if not mode then
      return server.say("the mode is " .. (vim.tbl_get(client.settings, "incoder", "mode") or "automatic") .. ".")
    end
    require("incoder").dismiss()
    for _, each in ipairs(server.all()) do
      server.set(each, "mode", mode)
    end
  end,
}
COMMANDS.trigger = {
  run = function()
    if not require("incoder").trigger() then
      server.say(switch.reason(vim.api.nvim_get_current_buf()) .. ".")
    end
  end,
}
COMMANDS.fill = {
  run = function(client, _, call)
    require("incoder.holes")(client, M.lines(call))
  end,
}
COMMANDS.docstring = action("docstring", "here is no function that lacks a docstring.")
COMMANDS.types = action("annotate", "here is no function that lacks types.")
COMMANDS.names = {
  run = function(client)
    require("incoder.names")(client)
  end,
}
COMMANDS.stats = {
  run = function(client)
    server.ask(client, "incoder/statistics", vim.empty_dict(), function(numbers)
      for name, number in vim.spairs(numbers or {}) do
        vim.api.nvim_echo({ { ("%-24s %s"):format(name, vim.inspect(number)) } }, true, {})
      end
    end)
  end,
}
COMMANDS.restart = {
  alone = true,
  run = function()
    require("incoder.life").restart()
  end,
}
COMMANDS.log = {
  alone = true,
  run = function()
    vim.cmd.tabedit(vim.lsp.log.get_filename())
    vim.cmd.normal({ "G", bang = true })
  end,
}
COMMANDS.learn = execute("incoder.learn")
COMMANDS.unlearn = execute("incoder.unlearn")

--- The range of a command, if one was given.
---@return { [1]: integer, [2]: integer }?
function M.lines(call)
  return call.range > 0 and { call.line1, call.line2 } or nil
end

---@return string[] words that mean something to this buffer's server
local function offered()
  local client = server.all(vim.api.nvim_get_current_buf())[1]
  local words = vim.tbl_filter(function(word)
    local command = COMMANDS[word].command
    return not command or (client ~= nil and server.has_command(client, command))
  end, vim.tbl_keys(COMMANDS))
  table.sort(words)
  return words
end

function M.run(call)
  local name, word, more = unpack(call.fargs)
  name = name or "status"
  local command = COMMANDS[name]
  local words = command and command.words or {}
  if not command then
    local known = table.concat(offered(), ", ")
    return server.say(("there is no :Incoder %s; there are %s."):format(name, known), vim.log.levels.ERROR)
  elseif more or (word and not vim.list_contains(words, word)) then
    local known = #words > 0 and table.concat(words, ", ") or "nothing"
    return server.say((":Incoder %s takes %s."):format(name, known), vim.log.levels.ERROR)
  elseif command.alone then
    return command.run(nil, word, call)
  end
  local client = server.here()
  if client and command.command and not server.has_command(client, command.command) then
    server.say(("this server has no %s; update incoder-lsp."):format(command.command), vim.log.levels.WARN)
  elseif client then
    command.run(client, word, call)
  end
end

---@param line string the command line up to the cursor
---@return string[]
function M.complete(line)
  local before, last = line:match("Incoder!?%s+(.-)(%S*)$")
  local command = COMMANDS[vim.trim(before or "")]
  local words = before == "" and offered() or command and command.words or {}
  return vim.tbl_filter(function(word)
    return vim.startswith(word, last)
  end, words)
end

return M
