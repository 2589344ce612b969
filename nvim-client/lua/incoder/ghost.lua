-- Our own ghost text, on every Neovim. In: an attached client. Out: at most one request in flight per buffer, its
-- answer drawn at the cursor, shortened while the user types along, gone when he does not.
local api = vim.api
local accept = require("incoder.accept")
local compat = require("incoder.compat")
local draw = require("incoder.draw").draw
local feedback = require("incoder.feedback")
local mode = require("incoder.mode")
local server = require("incoder.server")
local suggestions = require("incoder.suggestion")
local switch = require("incoder.switch")

local M = {}
local METHOD = "textDocument/inlineCompletion"
local INVOKED, AUTOMATIC = 1, 2 -- InlineCompletionTriggerKind
local DEBOUNCE_MS = 75
local namespace = api.nvim_create_namespace("incoder")
local group = api.nvim_create_augroup("incoder.ghost", {})

---@class incoder.ghost.State
---@field client vim.lsp.Client
---@field timer uv.uv_timer_t waits for a pause in typing
---@field items incoder.Suggestion[]
---@field index integer of the item that is shown
---@field request? integer id of the only request whose answer still counts
---@field invoked? boolean the items, or those to come, were asked for by the user
---@type table<integer, incoder.ghost.State>
local states = {}

---@param state? incoder.ghost.State
---@return incoder.Suggestion? item the one that is shown
local function current(state)
  local item = state and state.items[state.index]
  return suggestions.rest(item) and item
end

---@param state incoder.ghost.State
---@return boolean shown
local function show(state)
  local item = not switch.reason(api.nvim_get_current_buf()) and state.items[state.index] or nil
  local shown = draw(namespace, item)
  if shown then
    feedback.shown(state.client, item)
  end
  return shown
end

---@param state incoder.ghost.State
local function cancel(state)
  state.timer:stop()
  if state.request then
    compat.call(state.client, "cancel_request", state.request)
    state.request = nil
  end
end

---@param buf integer
local function hide(buf)
  local state = states[buf]
  cancel(state)
  state.items, state.invoked = {}, nil
  api.nvim_buf_clear_namespace(buf, namespace, 0, -1)
end

--- New items, with the one that was shown before them in the same place.
---@param state incoder.ghost.State
---@param items incoder.Suggestion[]
---@param step integer from that one to the one that is to be shown
local function replace(state, items, step)
  local before, index = current(state), 1
  for i, item in ipairs(items) do
    if before and suggestions.rest(item) == suggestions.rest(before) then
      items[i], index = before, i
    end
  end
  state.items, state.index = items, #items > 0 and (index - 1 + step) % #items + 1 or 1
end

---@param buf integer
---@param step? integer
local function ask(buf, step)
  local state = states[buf]
  if not state or not mode.inserting(buf) or switch.reason(buf) then
    return
  end
  cancel(state)
  local moment, invoked = suggestions.moment(), state.invoked
  local params = server.position(state.client)
  params.context = { triggerKind = invoked and INVOKED or AUTOMATIC }
  local _, id
  _, id = compat.call(state.client, "request", METHOD, params, function(err, result)
    if state.request ~= id then
      return
    end
    state.request = nil
    if err then
      vim.lsp.log.error("incoder", err)
    elseif mode.inserting(buf) then
      local items = suggestions.read(result, moment, state.client.offset_encoding)
      if #items > 0 or not current(state) then
        replace(state, items, step or 0)
      end
      if show(state) then
        state.timer:stop() -- it fits what was typed since, so there is nothing more to ask for
      elseif invoked then
        api.nvim_echo({ { "InCoder: no suggestion here; :Incoder why" } }, false, {})
      end
    end
  end, buf)
  state.request = id
end

---@param buf integer
local function later(buf)
  states[buf].timer:start(DEBOUNCE_MS, 0, vim.schedule_wrap(function()
    ask(buf)
  end))
end

---@param client vim.lsp.Client
---@param buf integer
function M.attach(client, buf)
  M.detach(buf)
  local state = { client = client, timer = assert(vim.uv.new_timer()), items = {}, index = 1 }
  states[buf] = state
  local function on(events, callback)
    api.nvim_create_autocmd(events, { group = group, buffer = buf, callback = callback })
  end
  -- A typed key moves the cursor first and then reports the change: nothing is drawn in between.
  on("CursorMovedI", function()
    show(state)
  end)
  on({ "InsertEnter", "TextChangedI", "TextChangedP" }, function(event)
    if not show(state) then
      state.invoked = state.invoked and event.event == "InsertEnter" or nil
      later(buf)
    end
  end)
  on({ "InsertLeave", "BufLeave" }, function()
    hide(buf)
  end)
  if mode.inserting(buf) then
    later(buf) -- the server came, or came back, while the user types
  end
end

---@param buf integer
function M.detach(buf)
  if states[buf] then
    api.nvim_clear_autocmds({ group = group, buffer = buf })
    hide(buf)
    states[buf].timer:close()
    states[buf] = nil
  end
end

--- The edit is scheduled, so that this may be called from an `expr` mapping.
---@param buf integer
---@param unit "all"|"word"|"line"
---@return boolean accepted
function M.accept(buf, unit)
  local state = states[buf]
  local item = current(state)
  if not item then
    return false
  end
  vim.schedule(function()
    if states[buf] ~= state or api.nvim_get_current_buf() ~= buf or not suggestions.rest(item) then
      return
    end
    hide(buf)
    local remainder = accept(state.client, item, unit)
    state.items, state.index = { remainder }, 1
    show(state)
  end)
  return true
end

---@param buf integer
---@return boolean dismissed
function M.dismiss(buf)
  local state = states[buf]
  local shown = current(state) ~= nil
  if state then
    hide(buf)
  end
  return shown
end

--- An automatic answer has one suggestion, as a rule: who wants to see another makes us ask for more.
---@param buf integer
---@param step integer
---@return boolean moved
function M.select(buf, step)
  local state = states[buf]
  if not current(state) then
    return false
  elseif #state.items > 1 then
    state.index = (state.index - 1 + step) % #state.items + 1
    return show(state)
  elseif state.invoked then
    return false
  end
  state.invoked = true
  ask(buf, step)
  return true
end

--- From normal mode, insert mode is entered at the cursor, or behind the end of the line.
---@param buf integer
---@return boolean asked
function M.trigger(buf)
  local state = states[buf]
  if not state or switch.reason(buf) then
    return false
  end
  state.invoked = true
  if mode.inserting(buf) then
    ask(buf)
  else
    mode.enter()
  end
  return true
end

return M
