-- Ghost text for Neovim 0.11, which has no inline completion of its own. In: an attached client. Out: at most one
-- request in flight per buffer, its answer drawn at the cursor, shortened while the user types along, gone when he does not.
local api = vim.api
local draw = require("incoder.draw")
local suggestions = require("incoder.suggestion")

local M = {}
local METHOD = "textDocument/inlineCompletion"
local AUTOMATIC = 2 -- InlineCompletionTriggerKind
local DEBOUNCE_MS = 75
local namespace = api.nvim_create_namespace("incoder")
local group = api.nvim_create_augroup("incoder.ghost", {})

---@class incoder.ghost.State
---@field client vim.lsp.Client
---@field timer uv.uv_timer_t waits for a pause in typing
---@field items incoder.Suggestion[]
---@field index integer of the item that is shown
---@field request? integer id of the only request whose answer still counts
---@type table<integer, incoder.ghost.State>
local states = {}

---@param state incoder.ghost.State
local function show(state)
  return draw(namespace, state.items[state.index])
end

---@param state incoder.ghost.State
local function cancel(state)
  state.timer:stop()
  if state.request then
    state.client:cancel_request(state.request)
    state.request = nil
  end
end

---@param buf integer
local function hide(buf)
  local state = states[buf]
  cancel(state)
  state.items = {}
  api.nvim_buf_clear_namespace(buf, namespace, 0, -1)
end

local function inserting(buf)
  return api.nvim_get_current_buf() == buf and api.nvim_get_mode().mode:sub(1, 1) == "i"
end

---@param buf integer
local function ask(buf)
  local state = states[buf]
  if not state or not inserting(buf) then
    return
  end
  cancel(state)
  local moment = suggestions.moment()
  local params = vim.lsp.util.make_position_params(0, state.client.offset_encoding)
  params.context = { triggerKind = AUTOMATIC }
  local id
  _, id = state.client:request(METHOD, params, function(err, result)
    if state.request ~= id then
      return
    end
    state.request = nil
    if err then
      vim.lsp.log.error("incoder", err)
    elseif inserting(buf) then
      state.items, state.index = suggestions.read(result, moment, state.client.offset_encoding), 1
      if show(state) then
        state.timer:stop() -- it fits what was typed since, so there is nothing more to ask for
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
  states[buf] = { client = client, timer = assert(vim.uv.new_timer()), items = {}, index = 1 }
  local function on(events, callback)
    api.nvim_create_autocmd(events, { group = group, buffer = buf, callback = callback })
  end
  -- A typed key moves the cursor first and then reports the change: nothing is drawn in between.
  on("CursorMovedI", function()
    show(states[buf])
  end)
  on({ "InsertEnter", "TextChangedI", "TextChangedP" }, function()
    if not show(states[buf]) then
      later(buf)
    end
  end)
  on({ "InsertLeave", "BufLeave" }, function()
    hide(buf)
  end)
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
  local item = state and state.items[state.index]
  if not item or not suggestions.rest(item) then
    return false
  end
  vim.schedule(function()
    if states[buf] ~= state or api.nvim_get_current_buf() ~= buf or not suggestions.rest(item) then
      return
    end
    hide(buf)
    local remainder = suggestions.insert(item, unit)
    state.items, state.index = { remainder }, 1
    show(state)
    if not remainder and item.command then
      state.client:exec_cmd(item.command, { bufnr = buf })
    end
  end)
  return true
end

---@param buf integer
---@return boolean dismissed
function M.dismiss(buf)
  local state = states[buf]
  local shown = state ~= nil and suggestions.rest(state.items[state.index]) ~= nil
  if state then
    hide(buf)
  end
  return shown
end

---@param buf integer
---@param step integer
---@return boolean moved
function M.select(buf, step)
  local state = states[buf]
  if not state or #state.items < 2 or not suggestions.rest(state.items[state.index]) then
    return false
  end
  state.index = (state.index - 1 + step) % #state.items + 1
  return show(state)
end

return M
