-- Starting the server. In: the options of `setup()`. Out: a client "incoder" in every matching buffer, by
-- vim.lsp.enable() or, on Neovim 0.10, which has none, in the same way by hand.
local api = vim.api
local server = require("incoder.server")
local group = api.nvim_create_augroup("incoder.start", {})

---@param config vim.lsp.Config
---@return boolean
local function can_run(config)
  return type(config.cmd) ~= "table" or vim.fn.executable(config.cmd[1]) == 1
end

--- Neovim says nothing, or says it for each buffer.
---@param config vim.lsp.Config
local function miss(config)
  local sentence = ("there is no program %s; :checkhealth incoder tells what to do."):format(config.cmd[1])
  local function say()
    server.say(sentence, vim.log.levels.WARN)
  end
  if vim.v.vim_did_enter == 1 then
    say()
  else
    local pattern = config.filetypes or "*"
    api.nvim_create_autocmd("FileType", { group = group, pattern = pattern, once = true, callback = say })
  end
end

--- Neovim 0.10 takes a client's capabilities as they are, and finds no configuration by itself.
---@param fields table
---@return vim.lsp.Config
local function complete(fields)
  local file = assert(api.nvim_get_runtime_file("lsp/incoder.lua", false)[1])
  local config = vim.tbl_deep_extend("force", dofile(file), fields, { name = server.NAME })
  local known = vim.lsp.protocol.make_client_capabilities()
  config.capabilities = vim.tbl_deep_extend("force", known, config.capabilities)
  return config
end

---@param config vim.lsp.Config
local function enable(config)
  api.nvim_create_autocmd("FileType", {
    group = group,
    pattern = config.filetypes or "*",
    callback = function(event)
      if vim.bo[event.buf].buftype == "" and can_run(config) then -- an actual file
        local root = vim.fs.root(event.buf, config.root_markers)
        vim.lsp.start(vim.tbl_extend("force", config, { root_dir = root }), { bufnr = event.buf })
      end
    end,
  })
  if vim.v.vim_did_enter == 1 then
    vim.cmd.doautoall("incoder.start FileType")
  end
end

---@param opts incoder.Options
return function(opts)
  local config = {
    cmd = opts.cmd,
    filetypes = opts.filetypes,
    root_markers = opts.root_markers,
    settings = opts.settings and { incoder = opts.settings },
  }
  api.nvim_clear_autocmds({ group = group })
  if vim.lsp.config then
    vim.lsp.config(server.NAME, config)
    vim.lsp.enable(server.NAME)
    config = vim.lsp.config[server.NAME]
  else
    config = complete(config)
    enable(config)
  end
  if not can_run(config) then
    miss(config)
  end
end
