-- Ghost text. In: a suggestion of the current buffer. Out: extmarks at the cursor that show what accepting it would
-- add.
local api = vim.api
local suggestions = require("incoder.suggestion")
local M = {}

local HIGHLIGHT = "ComplHint" -- Neovim 0.12's own group for inline completions, so that colour schemes fit both

--- NonText has a colour only where the terminal shows true colours; elsewhere ghost text would look like code.
function M.dim()
  api.nvim_set_hl(0, HIGHLIGHT, { link = "NonText", default = true })
  local now = api.nvim_get_hl(0, { name = HIGHLIGHT, link = false })
  if not now.ctermfg then
    api.nvim_set_hl(0, HIGHLIGHT, { fg = now.fg, bg = now.bg, ctermfg = 8 })
  end
end

---@param namespace integer
---@param row integer
---@param col integer
---@param text string
---@param opts? vim.api.keyset.set_extmark
local function put(namespace, row, col, text, opts)
  opts = vim.tbl_extend("keep", opts or {}, {
    virt_text = { { text, HIGHLIGHT } },
    virt_text_pos = "inline",
    hl_mode = "replace", -- or it would take on the colours of a matching bracket
  })
  if text ~= "" or opts.virt_lines then
    api.nvim_buf_set_extmark(0, namespace, row, col, opts)
  end
end

--- Replaces whatever the namespace showed in the current buffer.
---@param namespace integer
---@param suggestion? incoder.Suggestion
---@return boolean shown false if there is nothing that fits the text around the cursor
function M.draw(namespace, suggestion)
  api.nvim_buf_clear_namespace(0, namespace, 0, -1)
  local rest = suggestions.rest(suggestion)
  if not suggestion or not rest then
    return false
  end

  local lines = vim.split(rest, "\n", { plain = true })
  local first = table.remove(lines, 1)
  local virt_lines = vim.tbl_map(function(line)
    return { { line, HIGHLIGHT } }
  end, lines)
  local below = #virt_lines > 0 and { virt_lines = virt_lines } or {}

  local now = suggestions.moment()
  local places = suggestions.places(first, suggestion.covered)
  if places then
    -- The replaced characters stay where they are, the new text is woven around them.
    local from, col = 1, now.col
    for _, place in ipairs(places) do
      put(namespace, now.row, col, first:sub(from, place.from - 1))
      from, col = place.to + 1, col + place.to - place.from + 1
    end
    put(namespace, now.row, col, first:sub(from), below)
  else
    local gap = vim.fn.strdisplaywidth(suggestion.covered) - vim.fn.strdisplaywidth(first)
    below.virt_text_pos = "overlay"
    put(namespace, now.row, now.col, first .. (" "):rep(gap), below)
  end
  return true
end

return M
