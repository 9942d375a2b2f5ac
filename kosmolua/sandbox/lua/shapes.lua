-- Shapes: fast decoding of objects that repeat in a JSON text.
--
-- A list of rows repeats the same keys in the same order: the shape of its objects. A shape that has occurred a few times
-- gets a generated function, whose patterns contain the keys and match many members at once. It decodes objects that match
-- exactly, and the decoder does the rest. Since the text decides about these functions, their source contains nothing of
-- the text but keys, which Lua itself quotes.

local host = ...

local null = host.registry.null
local ipairs, load = ipairs, load
local format, gsub, match, sub = string.format, string.gsub, string.match, string.sub
local concat, unpack = table.concat, table.unpack

local MEETINGS = 3 -- times that objects of a family occur before a shape is learned
local MAX_SHAPES, MAX_OF_A_FAMILY = 32, 4
local MAX_MEMBERS = 60 -- Lua has room for 200 locals in a function
local MAX_CAPTURES = 15 -- Lua's patterns have 32
local MAX_KEY = 200 -- bytes of a key, with the white space around it
local MAX_FAMILIES = 1000 -- a family is all objects with the same first key
local MAX_SCORE = 20 -- of a family, whose objects are decoded without shapes once its score is 0
local PLAIN, WORD = '"([^"\\\0-\31]*)"', "([%w.+-]+)"

---Returns a pattern that matches only this text.
local function literal(text)
  return (gsub(text, "[%^%$%(%)%%%.%[%]%*%+%-%?]", "%%%0"))
end

---Returns the source of a table constructor with the first `count` members.
local function constructor(members, count)
  local fields = {}
  for index = 1, count do
    fields[index] = format("[%q]=v%d", members[index].key, index)
  end
  return "{" .. concat(fields, ",") .. "}"
end

---Returns the source of a function that decodes objects with these members, and the patterns that it uses.
---@param members table[] each has its `key`, the text `before` its value, and the `capture` of the value if it is simple
---@param tail string the text after the last value
local function source_of(members, tail)
  local lines, patterns, names, words, pattern = {}, {}, {}, {}, ""

  ---Adds a line that matches the pattern so far. If it does not match, the function returns the first `done` members.
  local function match_pending(ending, done)
    local leave = done == 0 and "return" or format("return %s,p,true", constructor(members, done))
    patterns[#patterns + 1] = "^" .. pattern .. ending
    names[#names + 1] = "q"
    lines[#lines + 1] = format("%s=match(text,p%d,p) if not q then %s end", concat(names, ","), #patterns, leave)
    for _, name in ipairs(words) do
      lines[#lines + 1] = format("%s=scalar(%s) if %s==nil then %s end", name, name, name, leave)
      lines[#lines + 1] = format("if %s==null then %s=nil end", name, name)
    end
    lines[#lines + 1] = "p=q"
    names, words, pattern = {}, {}, ""
  end

  local taken = 0 -- members whose values are known if the next pattern does not match
  for index = 1, #members do
    local member, name = members[index], "v" .. index
    if member.capture then
      pattern = pattern .. literal(member.before) .. member.capture
      names[#names + 1] = name
      words[#words + 1] = member.capture == WORD and name or nil
      if #names == MAX_CAPTURES and index < #members then
        match_pending("()", taken)
        taken = index
      end
    else
      match_pending(literal(member.before) .. "()%S", taken) -- a value begins without white space
      lines[#lines + 1] = format("%s,p=value(text,p,depth) if %s==null then %s=nil end", name, name, name)
      taken = index
    end
  end
  match_pending(literal(tail) .. "()", taken)
  local locals = {}
  for index = 1, #members do
    locals[index] = "v" .. index
  end
  local parameters = {}
  for index = 1, #patterns do
    parameters[index] = "p" .. index
  end
  return format(
    "local match,value,scalar,null,%s=... return function(text,p,depth) local q,%s %s return %s,p end",
    concat(parameters, ","), concat(locals, ","), concat(lines, " "), constructor(members, #members)
  ), patterns
end

---Returns a function that decodes objects of one shape, or nil if Lua cannot compile it.
---@param value fun(text: string, position: integer, depth: integer): any, integer decodes any value
local function made_for(members, tail, value, scalar)
  local source, patterns = source_of(members, tail)
  local chunk = load(source, "=[host]", "t", {})
  return chunk and chunk(match, value, scalar, null, unpack(patterns))
end

---Notes the members of an object while it is decoded.
---@param position integer where the object begins
---@param learn fun(members: table[], tail: string)
---@return fun(key: string, from: integer, to: integer) note called with each member's key, and where its value is
---@return fun(after: integer) finish called with the position after the object
local function follow(text, position, learn)
  local members, seen, is_usual = {}, {}, true

  local function note(key, from, to)
    local before = sub(text, position, from - 1)
    is_usual = is_usual and not seen[key] and #before <= MAX_KEY and #members < MAX_MEMBERS
    if is_usual then
      seen[key] = true
      local is_plain, is_word = match(text, '^"[^"\\\0-\31]*"()', from) == to, match(text, "^[%w.+-]+()", from) == to
      members[#members + 1] = { key = key, before = before, capture = is_plain and PLAIN or is_word and WORD or nil }
    end
    position = to
  end

  local function finish(after)
    if is_usual then
      learn(members, sub(text, position, after - 1))
    end
  end

  return note, finish
end

---Returns a decoder that learns the shapes of the objects of one text.
---@param value fun(text: string, position: integer, depth: integer): any, integer decodes any value
---@param scalar fun(word: string): any returns the value of a number, true, false or null; nil for other text
local function new(value, scalar)
  local families, count, left = {}, 0, MAX_SHAPES
  local shapes = {}

  ---Returns the family of the objects with this first key, or nil if shapes are of no use for them.
  ---@param first string the key
  local function family_of(first)
    local family = families[first]
    if family == nil then
      count = count + 1
      family = count <= MAX_FAMILIES and { met = 0, score = MAX_SCORE }
      families[first] = family or nil
    end
    return family and family.score > 0 and family
  end

  ---Decodes an object from its first member on, if its shape is known. Otherwise returns nil, and two functions to call
  ---while the object is decoded, if its shape is to be learned.
  ---@param first string its first key
  ---@return table? map
  ---@return (integer|fun(key: string, from: integer, to: integer))? after_or_note
  ---@return (boolean|fun(after: integer))? is_part_or_finish true if members are left to decode, from a comma on
  function shapes.decode(first, text, position, depth)
    local family = family_of(first)
    for index = 1, family and #family or 0 do
      local map, after, is_part = family[index](text, position, depth)
      if map then
        family.score = is_part and family.score - 1 or family.score < MAX_SCORE and family.score + 2 or family.score
        return map, after, is_part
      end
    end
    if not family then
      return
    end
    family.met, family.score = family.met + 1, family.score - (#family > 0 and 1 or 0)
    if family.met < MEETINGS or left == 0 or #family == MAX_OF_A_FAMILY then
      return
    end
    return nil, follow(text, position, function(members, tail)
      local decode = left > 0 and #family < MAX_OF_A_FAMILY and made_for(members, tail, value, scalar)
      if decode then
        family[#family + 1] = decode
        left, family.met = left - 1, 0
      end
    end)
  end

  return shapes
end

return { new = new }
