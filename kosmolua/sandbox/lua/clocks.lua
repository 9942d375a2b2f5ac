-- The clocks: the global `os`, and `time.now`.

local host = ...

local bridge, requests = host.bridge, host.requests
local tonumber, type = tonumber, type
local floor, format, max = math.floor, string.format, math.max
local own = { date = os.date } -- Lua's errors take the name of a function from where it is found
local own_clock, own_date, own_difftime, own_time = os.clock, os.date, os.difftime, os.time

---True if the host is asked for the time.
local asks

local function own_now()
  local now = tonumber(bridge("time"))
  bridge("rearm")
  return now
end

---Asks the host for the time of a clock.
---@param clock "wall"|"cpu"
---@param own number the time of this process's own clock
local function ask(clock, own)
  return requests.ask("time", format(',"clock":"%s","own":%.17g', clock, own))
end

local time = {}

function time.now()
  return asks and ask("wall", own_now()) or own_now()
end

local asking = {}

function asking.time(...)
  local parts = ...
  if parts == nil then
    return floor(ask("wall", own_time()))
  end
  return own_time(...)
end

function asking.date(...)
  local pattern, moment = ...
  if moment == nil and (pattern == nil or type(pattern) == "string") then
    return own_date(pattern or "%c", floor(ask("wall", own_time())))
  end
  return own.date(...)
end

---The processor time of the process, in seconds, a moment before the script began: other scripts may have run before.
local began = 0
local MOMENT = 0.001

local function clock()
  return own_clock() - began
end

function asking.clock()
  return ask("cpu", clock())
end

local library = { time = own_time, date = own_date, clock = clock, difftime = own_difftime }

---Sets whether the script's clocks ask the host. It is the same for all chunks of a session.
---@param asks_host boolean
local function set(asks_host)
  began = max(own_clock() - MOMENT, 0)
  if asks == nil and asks_host then
    library.time, library.date, library.clock = asking.time, asking.date, asking.clock
  end
  asks = asks_host
end

return { os = library, time = time, set = set }
