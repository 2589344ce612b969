-- `:checkhealth incoder`: what a user would otherwise have to ask for. In: Neovim as it is. Out: a report, each line of
-- which says what to do where something is wrong.
local keymaps = require("incoder.keymaps")
local options = require("incoder.options")
local server = require("incoder.server")
local switch = require("incoder.switch")
local health = vim.health
local M = {}

local function neovim()
  health.start("Neovim")
  local version = tostring(vim.version())
  if vim.fn.has("nvim-0.10") == 0 then
    return health.error("Neovim " .. version .. " is too old", "Install Neovim 0.10 or newer.")
  end
  health.ok("Neovim " .. version)
  if options.current.native and not vim.lsp.inline_completion then
    health.warn("`native = true` needs Neovim 0.12; the plug-in draws the text itself")
  else
    local by = options.current.native and "Neovim's own inline completion" or "the plug-in"
    health.info("suggestions are drawn by " .. by)
  end
end

---@return string[]? cmd
local function command()
  local client = server.all()[1]
  local config = client and client.config or vim.lsp.config and vim.lsp.config[server.NAME]
  local cmd = config and config.cmd or { "incoder-lsp", "serve" }
  return type(cmd) == "table" and cmd or nil
end

local function program()
  health.start("Server")
  local cmd = command()
  if not cmd then
    return health.info("the server is started by a function of your configuration")
  end
  local line = table.concat(cmd, " ")
  if vim.fn.executable(cmd[1]) == 0 then
    return health.error(("`%s` cannot be run: there is no program %s"):format(line, cmd[1]), {
      "Install the server: docs/editors/neovim.md, step 1.",
      "Or write its whole path: setup({ cmd = { '/path/to/incoder-lsp', 'serve' } }).",
    })
  end
  local ask = {}
  for _, word in ipairs(cmd) do
    if word == "serve" then
      break
    end
    ask[#ask + 1] = word
  end
  ask[#ask + 1] = "--version"
  local ok, done = pcall(function()
    return vim.system(ask, { text = true, timeout = 10000 }):wait()
  end)
  if ok and done.code == 0 then
    health.ok(("%s, started by `%s`"):format(vim.trim(done.stdout), line))
  else
    health.warn(("`%s` does not tell its version"):format(table.concat(ask, " ")), "Run it in a terminal to see why.")
  end
end

---@param client vim.lsp.Client
local function attached(client)
  local buffers = vim.tbl_keys(client.attached_buffers)
  local root = client.root_dir or client.config.root_dir or "none"
  health.ok(("client %d is attached to %d buffer(s); root: %s"):format(client.id, #buffers, root))
  if client.server_capabilities.inlineCompletionProvider then
    health.ok("it offers inline completion")
  else
    health.error("it offers no inline completion", "Update incoder-lsp, or see which program `cmd` starts.")
  end
  local status = require("incoder.status")
  local known = status.of(client)
  local reports = { error = health.error, off = health.warn, ready = health.ok, busy = health.ok }
  local report = known and reports[known.state] or health.info
  report("model: " .. status.describe(known), report == health.error and { ":Incoder log shows more." } or nil)
  for _, buf in ipairs(buffers) do
    if switch.reason(buf) then
      health.warn(("buffer %d: %s"):format(buf, switch.reason(buf)))
    end
  end
end

local function clients()
  health.start("Buffers")
  for _, client in ipairs(server.all()) do
    attached(client)
  end
  if #server.all() == 0 then
    health.warn("no server is running", {
      "Call require('incoder').setup() in init.lua.",
      "Open a file; if you set `filetypes`, one of these.",
      "If the server ended: :Incoder log, then :Incoder restart.",
    })
  end
end

--- Is the key ours in every buffer of the server's?
---@param action string
---@param lhs string
local function key(action, lhs)
  for _, client in ipairs(server.all()) do
    for buf in pairs(client.attached_buffers) do
      local found = vim.api.nvim_buf_call(buf, function()
        return vim.fn.maparg(lhs, "i", false, true)
      end)
      if found.desc ~= keymaps.description(action) then
        local who = found.desc or (type(found.rhs) == "string" and found.rhs) or "nothing"
        return health.warn(("%s is not %s in buffer %d, but %s"):format(lhs, action, buf, who), {
          "Another plug-in mapped it later; `:verbose imap " .. lhs .. "` there shows which.",
        })
      end
    end
  end
  health.ok(("%s: %s"):format(lhs, action))
end

local function keys()
  health.start("Keys")
  for action, lhs in vim.spairs(options.current.keymaps) do
    key(action, lhs)
  end
  if not options.current.keymaps.accept then
    health.info("`keymaps` names no key that accepts; map one to require('incoder').accept() yourself or name it there")
  end
end

local OTHERS = {
  { "copilot.vim", "loaded_copilot", "let g:copilot_no_tab_map = v:true" },
  { "Codeium", "loaded_codeium", "let g:codeium_no_map_tab = v:true" },
}

--- Others who draw ghost text or take the same key.
local function others()
  health.start("Neighbours")
  local found = false
  for _, other in ipairs(OTHERS) do
    if vim.g[other[2]] then
      found = true
      health.warn(other[1] .. " draws suggestions, too, and takes <Tab>", "Use one of them, or at least: " .. other[3])
    end
  end
  for _, client in ipairs(vim.lsp.get_clients()) do
    if client.name ~= server.NAME and client.server_capabilities.inlineCompletionProvider then
      found = true
      health.warn(("the server %s offers inline completion, too"):format(client.name), "Two suggestions may be drawn.")
    end
  end
  local _ = found or health.ok("nobody else draws suggestions")
end

local function colours()
  health.start("Colours")
  local group = vim.api.nvim_get_hl(0, { name = "ComplHint", link = false })
  local normal = vim.api.nvim_get_hl(0, { name = "Normal", link = false })
  local field = vim.o.termguicolors and "fg" or "ctermfg"
  local true_colours = vim.o.termguicolors and "on" or "off"
  local terminal = ("TERM is %s, termguicolors is %s"):format(vim.env.TERM or "not set", true_colours)
  if group[field] and group[field] ~= normal[field] then
    health.ok(terminal .. "; ghost text has a colour of its own")
  else
    health.warn(terminal .. "; ghost text looks like code", "`:highlight ComplHint ctermfg=8 guifg=#808080`")
  end
end

function M.check()
  for _, section in ipairs({ neovim, program, clients, keys, others, colours }) do
    section()
  end
end

return M
