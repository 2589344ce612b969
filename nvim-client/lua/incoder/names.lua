-- A better name for the variable at the cursor. In: the server's votes (`incoder/suggestNames`). Out: the user's
-- choice, put in all places of the variable.
local server = require("incoder.server")

---@class incoder.Names
---@field name string as it is called now
---@field ranges lsp.Range[] its places
---@field suggestions { name: string, share: number }[] most votes first

---@param client vim.lsp.Client
---@param names incoder.Names
---@param others { name: string, share: number }[] than it has
---@param buf integer
---@param tick integer version of the buffer that was asked about
local function choose(client, names, others, buf, tick)
  vim.ui.select(others, {
    prompt = "A name for " .. names.name,
    format_item = function(one)
      return ("%s  %.0f %%"):format(one.name, 100 * one.share)
    end,
  }, function(one)
    if not one then
      return
    elseif vim.api.nvim_buf_get_changedtick(buf) ~= tick then
      return server.say("the file has changed; ask again.")
    end
    local edits = vim.tbl_map(function(range)
      return { range = range, newText = one.name }
    end, names.ranges)
    vim.lsp.util.apply_text_edits(edits, buf, client.offset_encoding)
  end)
end

---@param client vim.lsp.Client
return function(client)
  local buf = vim.api.nvim_get_current_buf()
  local tick = vim.api.nvim_buf_get_changedtick(buf)
  server.ask(client, "incoder/suggestNames", server.position(client), function(names)
    if not names then
      return server.say("here is no variable that can be renamed for sure.")
    end
    local others = vim.tbl_filter(function(one)
      return one.name ~= names.name
    end, names.suggestions)
    if #others == 0 then
      return server.say("the model has no better name for " .. names.name .. ".")
    end
    choose(client, names, others, buf, tick)
  end)
end
