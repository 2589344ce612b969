-- The server's code actions as commands. In: the end of a kind, e.g. "docstring", at the cursor or for some lines.
-- Out: the one that fits, or the user's choice of several, carried out.
local server = require("incoder.server")
local KIND = "refactor.rewrite.incoder."

--- What the server could not do it tells the user itself.
---@param client vim.lsp.Client
---@param action lsp.CodeAction
local function perform(client, action)
  local function finish(done)
    if done and done.edit then
      vim.lsp.util.apply_workspace_edit(done.edit, client.offset_encoding)
    end
    if done and done.command then
      server.execute(client, done.command)
    end
  end
  if action.edit or action.command then
    finish(action)
  else
    server.ask(client, "codeAction/resolve", action, finish)
  end
end

---@param lines? { [1]: integer, [2]: integer } first and last, 1-based; default: the cursor
---@param client vim.lsp.Client
---@return lsp.Range
local function range(client, lines)
  if not lines then
    local position = server.position(client).position
    return { start = position, ["end"] = position }
  end
  local last = vim.api.nvim_buf_get_lines(0, lines[2] - 1, lines[2], true)[1]
  local width = require("incoder.compat").units(last, client.offset_encoding)
  return { start = { line = lines[1] - 1, character = 0 }, ["end"] = { line = lines[2] - 1, character = width } }
end

---@param client vim.lsp.Client
---@param name string ends the kind
---@param lines? { [1]: integer, [2]: integer }
---@param otherwise fun() where the server offers nothing
return function(client, name, lines, otherwise)
  server.ask(client, "textDocument/codeAction", {
    textDocument = vim.lsp.util.make_text_document_params(),
    range = range(client, lines),
    context = { diagnostics = {}, only = { KIND .. name }, triggerKind = 1 },
  }, function(offers)
    offers = offers or {}
    if #offers == 0 then
      return otherwise()
    elseif #offers == 1 then
      return perform(client, offers[1])
    end
    vim.ui.select(offers, {
      prompt = "InCoder",
      format_item = function(offer)
        return offer.title
      end,
    }, function(offer)
      if offer then
        perform(client, offer)
      end
    end)
  end)
end
