-- Acceptance, and all that follows from it. In: a suggestion and how much of it is wanted. Out: the edit, its
-- consequences on the server, and what is left to be shown.
local feedback = require("incoder.feedback")
local server = require("incoder.server")
local suggestions = require("incoder.suggestion")

---@param client vim.lsp.Client
---@param suggestion incoder.Suggestion of the current buffer
---@param unit "all"|"word"|"line"
---@return incoder.Suggestion? remainder nil if nothing is left
return function(client, suggestion, unit)
  local remainder = suggestions.insert(suggestion, unit)
  local untaken = suggestions.rest(remainder)
  if untaken then
    feedback.partly_accepted(client, suggestion, untaken)
  elseif suggestion.item.command then
    server.execute(client, suggestion.item.command)
  end
  return remainder
end
