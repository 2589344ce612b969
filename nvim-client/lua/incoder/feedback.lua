-- What the server learns of a suggestion's fate, by the names that Copilot's server gave these notifications.
-- In: a client and a suggestion. Out: notifications; the text itself is what the server sent.
local compat = require("incoder.compat")
local M = {}

--- Once for each suggestion, when it is first drawn.
---@param client vim.lsp.Client
---@param suggestion incoder.Suggestion
function M.shown(client, suggestion)
  if not suggestion.shown then
    suggestion.shown = true
    compat.call(client, "notify", "textDocument/didShowCompletion", { item = suggestion.item })
  end
end

--- After a word or a line of it was taken.
---@param client vim.lsp.Client
---@param suggestion incoder.Suggestion
---@param untaken string what of it is left
function M.partly_accepted(client, suggestion, untaken)
  local taken = suggestion.text:sub(1, #suggestion.text - #untaken)
  if suggestion.item.insertText:find("\r\n", 1, true) then
    taken = taken:gsub("\n", "\r\n")
  end
  compat.call(client, "notify", "textDocument/didPartiallyAcceptCompletion", {
    item = suggestion.item,
    acceptedLength = compat.units(taken, "utf-16"), -- from the beginning of insertText
  })
end

---@param client vim.lsp.Client
---@param buf integer
function M.focus(client, buf)
  compat.call(client, "notify", "textDocument/didFocus", { textDocument = { uri = vim.uri_from_bufnr(buf) } })
end

return M
