-- What the server offers, in the buffer's own terms. In: a reply of `textDocument/inlineCompletion` and the moment it
-- was asked for. Out: suggestions in byte columns, what of each is still untyped, and the edit that takes a piece of
-- it.
local api = vim.api
local byteindex = require("incoder.compat").byteindex
local M = {}

---@class incoder.Moment Where the cursor stood when the server was asked.
---@field row integer 0-based
---@field col integer 0-based, bytes
---@field line string

---@class incoder.Suggestion
---@field row integer 0-based row at which `text` begins
---@field col integer 0-based byte column at which `text` begins
---@field text string all that stands between (row, col) and `right` once it is accepted
---@field right string the cursor's line from the cursor on
---@field covered string beginning of `right` that `text` replaces, e.g. an auto-closed bracket
---@field item lsp.InlineCompletionItem as the server sent it
---@field shown? boolean whether the server knows that it was drawn

---@return incoder.Moment
function M.moment()
  local cursor = api.nvim_win_get_cursor(0)
  return { row = cursor[1] - 1, col = cursor[2], line = api.nvim_get_current_line() }
end

--- Snippets and ranges that do not touch the cursor cannot be shown as ghost text and are left out.
---@param result? lsp.InlineCompletionItem[]|lsp.InlineCompletionList
---@param moment incoder.Moment
---@param encoding "utf-8"|"utf-16"|"utf-32"
---@return incoder.Suggestion[]
function M.read(result, moment, encoding)
  local suggestions = {}
  for _, item in ipairs(result and (result.items or result) or {}) do
    local from, to = moment.col, moment.col
    local on_line = true
    if item.range then
      on_line = item.range.start.line == moment.row and item.range["end"].line == moment.row
      from = byteindex(moment.line, encoding, item.range.start.character)
      to = byteindex(moment.line, encoding, item.range["end"].character)
    end
    if on_line and from <= moment.col and moment.col <= to and type(item.insertText) == "string" then
      local sent = vim.deepcopy(item)
      -- Buffers know only line feeds. Changed in place because Neovim 0.12 draws the reply itself.
      item.insertText = item.insertText:gsub("\r\n?", "\n")
      suggestions[#suggestions + 1] = {
        row = moment.row,
        col = from,
        text = item.insertText,
        right = moment.line:sub(moment.col + 1),
        covered = moment.line:sub(moment.col + 1, to),
        item = sent,
      }
    end
  end
  return suggestions
end

--- The part of the suggestion that is not yet typed; nil once it no longer fits what stands around the cursor.
---@param suggestion? incoder.Suggestion of the current buffer
---@return string? rest
function M.rest(suggestion)
  if not suggestion then
    return nil
  end
  local now = M.moment()
  local before = now.row < suggestion.row or (now.row == suggestion.row and now.col < suggestion.col)
  if before or now.line:sub(now.col + 1) ~= suggestion.right then
    return nil
  end
  -- The rows above the cursor may have changed too: a start that is gone makes get_text fail.
  local ok, typed = pcall(api.nvim_buf_get_text, 0, suggestion.row, suggestion.col, now.row, now.col, {})
  typed = ok and table.concat(typed, "\n") or "\0"
  if vim.startswith(suggestion.text, typed) and #typed < #suggestion.text then
    return suggestion.text:sub(#typed + 1)
  end
end

--- Where the covered characters stand in the text that replaces them: the last possible place of each, because an
--- auto-closed bracket closes what is typed before it. They are looked for in the first line, then in all of it.
---@param text string
---@param covered string
---@return { from: integer, to: integer }[]? places 1-based byte spans in `text`; nil if `text` does not contain them
function M.places(text, covered)
  local chars = vim.fn.split(covered, [[\zs]])
  for _, scope in ipairs({ text:match("^[^\n]*"), text }) do
    local places, limit = {}, #scope
    for i = #chars, 1, -1 do
      local from = limit - #chars[i] + 1
      while from > 0 and scope:sub(from, from + #chars[i] - 1) ~= chars[i] do
        from = from - 1
      end
      if from <= 0 then
        break
      end
      places[i] = { from = from, to = from + #chars[i] - 1 }
      limit = from - 1
    end
    if vim.tbl_count(places) == #chars then
      return places
    end
  end
end

--- The piece of the untyped text that one key press takes.
---@type table<"all"|"word"|"line", fun(rest: string): string>
M.piece = {
  all = function(rest)
    return rest
  end,
  -- White space before a word belongs to it; everything above ASCII counts as letter.
  word = function(rest)
    return rest:match("^%s*[%w_\128-\255]+") or rest:match("^%s*[^%w%s_\128-\255]+") or rest
  end,
  line = function(rest)
    return rest:match("^\n?[^\n]*")
  end,
}

--- Put a piece of the suggestion into the buffer, with the cursor behind it.
---@param suggestion incoder.Suggestion
---@param unit "all"|"word"|"line"
---@return incoder.Suggestion? remainder still to be shown; nil if nothing is left
function M.insert(suggestion, unit)
  local rest = M.rest(suggestion)
  if not rest then
    return nil
  end
  local piece = M.piece[unit](rest)
  local swallowed = piece == rest and #suggestion.covered or 0
  for _, place in ipairs(piece ~= rest and M.places(rest, suggestion.covered) or {}) do
    if place.to <= #piece then
      swallowed = swallowed + place.to - place.from + 1
    end
  end

  vim.cmd("let &g:undolevels = &g:undolevels") -- as CTRL-G u does: undo takes this back, not what was typed before it
  local now = M.moment()
  local lines = vim.split(piece, "\n", { plain = true })
  api.nvim_buf_set_text(0, now.row, now.col, now.row, now.col + swallowed, lines)
  local col = (#lines == 1 and now.col or 0) + #lines[#lines]
  api.nvim_win_set_cursor(0, { now.row + #lines, col })
  if piece ~= rest then
    return vim.tbl_extend("force", suggestion, {
      right = suggestion.right:sub(swallowed + 1),
      covered = suggestion.covered:sub(swallowed + 1),
    })
  end
end

return M
