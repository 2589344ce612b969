-- What Neovim 0.10 does otherwise than 0.11 and later. In: a client or a line. Out: the same on all of them.
local M = {}
local METHODS = vim.fn.has("nvim-0.11") == 1

--- A method of a client; 0.10 has them as functions that know their client.
---@param client vim.lsp.Client
---@param name string
---@return any ...
function M.call(client, name, ...)
  if METHODS then
    return client[name](client, ...)
  end
  return client[name](...)
end

---@param line string
---@param encoding "utf-8"|"utf-16"|"utf-32"
---@param index integer in code units of the encoding; beyond the end it is the end
---@return integer bytes
function M.byteindex(line, encoding, index)
  if METHODS then
    return vim.str_byteindex(line, encoding, index, false)
  end
  return vim.lsp.util._str_byteindex_enc(line, index, encoding)
end

local LENGTH = { ["utf-8"] = "strlen", ["utf-16"] = "strutf16len", ["utf-32"] = "strchars" }

--- Counted here because 0.10 counts wrongly in a line that holds more than ASCII.
---@param text string
---@param encoding "utf-8"|"utf-16"|"utf-32"
---@return integer code units of the encoding
function M.units(text, encoding)
  return vim.fn[LENGTH[encoding]](text)
end

return M
