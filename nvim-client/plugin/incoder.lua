-- What is there from the start, with or without `setup()`: the command `:Incoder`, and ghost text in every buffer that
-- the server "incoder" is attached to, whoever started it. Everything else is loaded when it is first needed.
if vim.g.loaded_incoder or vim.fn.has("nvim-0.10") == 0 then
  return
end
vim.g.loaded_incoder = true

vim.lsp.handlers["incoder/status"] = function(...)
  return require("incoder.status").take(...)
end

vim.api.nvim_create_user_command("Incoder", function(call)
  require("incoder.commands").run(call)
end, {
  nargs = "*",
  range = true,
  desc = "InCoder: code suggestions of a local model",
  complete = function(_, line)
    return require("incoder.commands").complete(line)
  end,
})

local group = vim.api.nvim_create_augroup("incoder", {})
vim.api.nvim_create_autocmd({ "LspAttach", "LspDetach" }, {
  group = group,
  callback = function(event)
    require("incoder.attach")[event.event](event.buf, event.data.client_id)
  end,
})
vim.api.nvim_create_autocmd("ColorScheme", {
  group = group,
  callback = function()
    require("incoder.draw").dim()
  end,
})
