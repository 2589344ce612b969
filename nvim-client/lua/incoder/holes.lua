-- Filling holes. In: the cursor or some lines. Out: the placeholders there filled; without any, text at the cursor
-- itself.
local actions = require("incoder.actions")
local server = require("incoder.server")

--- `incoder/fillHoles` takes any places for holes: here it is the cursor's.
---@param client vim.lsp.Client
local function at_cursor(client)
  local position = server.position(client)
  server.ask(client, "incoder/fillHoles", {
    textDocument = position.textDocument,
    ranges = { { start = position.position, ["end"] = position.position } },
  }, function(answer)
    if answer and type(answer.edit) == "table" then
      vim.lsp.util.apply_workspace_edit(answer.edit, client.offset_encoding)
    elseif answer then
      server.say(answer.message)
    end
  end)
end

---@param client vim.lsp.Client
---@param lines? { [1]: integer, [2]: integer } first and last, 1-based
return function(client, lines)
  actions(client, "fill", lines, function()
    if lines then
      return server.say("there is nothing to fill in these lines.")
    end
    at_cursor(client)
  end)
end
