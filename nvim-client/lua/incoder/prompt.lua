-- The prompt viewer. In: the server's virtual document of the last prompt. Out: a scratch buffer with it, in a window.
local server = require("incoder.server")
local URI = "incoder:/last-prompt.md"
local NAME = "incoder://last-prompt.md"

---@param text string
---@param mods vim.api.keyset.parse_cmd.mods|table of the command, e.g. :vertical
local function show(text, mods)
  local buf = vim.fn.bufnr(NAME)
  if buf < 0 then
    buf = vim.api.nvim_create_buf(false, true)
    vim.api.nvim_buf_set_name(buf, NAME)
    vim.bo[buf].filetype = "markdown"
  end
  vim.bo[buf].modifiable = true
  vim.api.nvim_buf_set_lines(buf, 0, -1, false, vim.split(text, "\n", { plain = true }))
  vim.bo[buf].modifiable = false
  if vim.fn.bufwinid(buf) < 0 then
    vim.cmd.sbuffer({ args = { buf }, mods = mods })
  end
end

---@param client vim.lsp.Client
---@param mods table
return function(client, mods)
  server.ask(client, "workspace/textDocumentContent", { uri = URI }, function(answer)
    if not answer or type(answer.text) ~= "string" then
      return server.say("there is no prompt yet.")
    end
    show(answer.text, mods)
  end)
end
