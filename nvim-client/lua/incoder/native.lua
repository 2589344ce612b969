-- Neovim 0.12's own inline completion, for those who prefer it. Neovim asks and draws; this room adds what it leaves
-- out: a superseded request is cancelled, text that no longer fits is hidden at once, a suggestion can be taken by
-- word or by line, and asked for by the user. In: an attached client. Out: the same functions as in ghost.lua.
local api = vim.api
local accept = require("incoder.accept")
local draw = require("incoder.draw").draw
local feedback = require("incoder.feedback")
local mode = require("incoder.mode")
local suggestions = require("incoder.suggestion")
local switch = require("incoder.switch")

local M = {}
local METHOD = "textDocument/inlineCompletion"
local INVOKED = 1 -- InlineCompletionTriggerKind
local namespace = api.nvim_create_namespace("nvim.lsp.inline_completion")
local group = api.nvim_create_augroup("incoder.native", {})

---@class incoder.native.State
---@field client vim.lsp.Client
---@field items incoder.Suggestion[] the newest answer, as Neovim shows it
---@field remainder? incoder.Suggestion what is left after a word or a line was taken; drawn by us until the next answer
---@field request? integer id of the only request whose answer still counts
---@field invoked? boolean the user asked for the next request, or for the items
---@type table<integer, incoder.native.State>
local states = {}
---@type table<vim.lsp.Client, true>
local heard = setmetatable({}, { __mode = "k" })

---@param state incoder.native.State
local function fits(state)
  return vim.iter({ state.items, { state.remainder } }):flatten():any(suggestions.rest)
end

--- Neovim keeps the answers to itself, so they are read on their way from the server. And it only ever asks by itself.
---@param client vim.lsp.Client
local function listen(client)
  if heard[client] then
    return
  end
  heard[client] = true
  local request = client.rpc.request
  ---@diagnostic disable-next-line: duplicate-set-field
  client.rpc.request = function(method, params, callback, on_reply)
    local state = method == METHOD and states[vim.uri_to_bufnr(params.textDocument.uri)]
    if not state then
      return request(method, params, callback, on_reply)
    end
    if state.request then
      client:cancel_request(state.request)
    end
    if state.invoked then
      params.context.triggerKind = INVOKED
    end
    local moment = suggestions.moment()
    local sent, id
    sent, id = request(method, params, function(err, result, ...)
      if state.request ~= id then
        return callback(nil, nil, ...) -- superseded: leave what is shown alone
      end
      state.request = nil
      local items = suggestions.read(result, moment, client.offset_encoding)
      if #items == 0 and fits(state) then
        return callback(err, nil, ...) -- nothing better than what the user is typing along
      end
      state.items, state.remainder = items, nil
      if suggestions.rest(items[1]) then
        feedback.shown(client, items[1])
      end
      -- For null Neovim would keep the old text on the screen.
      return callback(err, result or {}, ...)
    end, on_reply)
    state.request = id
    return sent, id
  end
end

--- Our autocommands must come after Neovim's own, which redraw even what no longer fits.
---@param buf integer
local function enable(buf)
  vim.lsp.inline_completion.enable(switch.reason(buf) == nil, { bufnr = buf })
  api.nvim_clear_autocmds({ group = group, buffer = buf })
  local function on(events, callback)
    api.nvim_create_autocmd(events, { group = group, buffer = buf, callback = callback })
  end
  on({ "InsertEnter", "CursorMovedI", "TextChangedI", "TextChangedP" }, function(event)
    local state = states[buf]
    if vim.lsp.inline_completion.is_enabled({ bufnr = buf }) ~= (switch.reason(buf) == nil) then
      return enable(buf) -- switched meanwhile
    end
    if event.event == "TextChangedI" then
      state.invoked = nil
    end
    if state.remainder then
      draw(namespace, state.remainder)
    elseif #state.items > 0 and not fits(state) then
      api.nvim_buf_clear_namespace(buf, namespace, 0, -1)
    end
  end)
  on("InsertLeave", function()
    states[buf].items, states[buf].remainder, states[buf].invoked = {}, nil, nil
  end)
end

--- Neovim asks a little after the cursor moved, so it is told that it did.
---@param buf integer
local function wake(buf)
  if mode.inserting(buf) then
    api.nvim_exec_autocmds("CursorMovedI", { buffer = buf, group = "nvim.lsp.inline_completion:" .. buf })
  end
end

---@param client vim.lsp.Client
---@param buf integer
function M.attach(client, buf)
  listen(client)
  states[buf] = { client = client, items = {} }
  enable(buf)
  vim.defer_fn(function() -- Neovim schedules its own part of this
    wake(buf)
  end, 0)
end

---@param buf integer
function M.detach(buf)
  if states[buf] then
    api.nvim_clear_autocmds({ group = group, buffer = buf })
    states[buf] = nil
  end
end

--- The edit is scheduled, so that this may be called from an `expr` mapping.
---@param buf integer
---@param unit "all"|"word"|"line"
---@return boolean accepted
function M.accept(buf, unit)
  local state = states[buf]
  if not state or not fits(state) then
    return false
  end
  local function take(item)
    if states[buf] == state and api.nvim_get_current_buf() == buf and suggestions.rest(item) then
      state.remainder, state.items = accept(state.client, item, unit), {}
      draw(namespace, state.remainder)
    end
  end

  if state.remainder then
    vim.schedule(function()
      take(state.remainder)
    end)
    return true
  end
  return vim.lsp.inline_completion.get({
    bufnr = buf,
    on_accept = function(chosen)
      for _, item in ipairs(state.items) do
        if item.text == chosen.insert_text then
          return take(item)
        end
      end
    end,
  })
end

--- Switching the feature off and on is Neovim's only way to forget a suggestion and the request that is due.
---@param buf integer
---@return boolean dismissed
function M.dismiss(buf)
  local state = states[buf]
  if not state then
    return false
  end
  local shown = fits(state)
  if state.request then
    state.client:cancel_request(state.request)
  end
  state.items, state.remainder, state.request, state.invoked = {}, nil, nil, nil
  vim.lsp.inline_completion.enable(false, { bufnr = buf })
  enable(buf)
  api.nvim_buf_clear_namespace(buf, namespace, 0, -1)
  return shown
end

---@param buf integer
---@param step integer
---@return boolean moved
function M.select(buf, step)
  local state = states[buf]
  if not state or not fits(state) then
    return false
  elseif #state.items > 1 then
    vim.lsp.inline_completion.select({ bufnr = buf, count = step })
    return true
  end
  return not state.invoked and M.trigger(buf)
end

--- `listen` makes a question of the user's of Neovim's next one.
---@param buf integer
---@return boolean asked
function M.trigger(buf)
  local state = states[buf]
  if not state or switch.reason(buf) then
    return false
  end
  state.invoked = true
  vim.schedule(function()
    if mode.inserting(buf) then
      wake(buf)
    else
      mode.enter()
    end
  end)
  return true
end

return M
