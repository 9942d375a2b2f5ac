-- The functions of the global `time` that read and write times as text.

local host = ...

local inspect, requests = host.inspect, host.requests
local error, pcall, tonumber, type = error, pcall, tonumber, type
local find, format, gsub, match = string.find, string.format, string.gsub, string.match
local floor, tointeger = math.floor, math.tointeger
local own_date = os.date

local DAY = 86400
local EARLIEST, LATEST = -62167219200, 253402300799 -- the years 0000 to 9999
local DAYS = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 }
local EXPECTED = "RFC 3339 or ISO 8601, such as 2026-03-02T09:00:00Z"

local time = {}

local function is_leap(year)
  return year % 4 == 0 and (year % 100 ~= 0 or year % 400 == 0)
end

---Returns the days from 1970 to a date of the Gregorian calendar. It counts years from March, so that the leap day is last.
local function days_to(year, month, day)
  if month <= 2 then
    year, month = year - 1, month + 12
  end
  return 365 * year + year // 4 - year // 100 + year // 400 + (153 * (month - 3) + 2) // 5 + day - 719469
end

local function days_in(year, month)
  return month == 2 and is_leap(year) and 29 or DAYS[month]
end

---Returns how many seconds a time zone is ahead of UTC, or nil if the text is not a time zone.
local function seconds_ahead(zone)
  if zone == "" or find(zone, "^[zZ]$") then
    return 0
  end
  local sign, hours, minutes = match(zone, "^([+-])(%d%d):?(%d?%d?)$")
  hours, minutes = tointeger(hours), minutes == "" and 0 or tointeger(minutes)
  if not hours or hours > 23 or minutes > 59 then
    return
  end
  return (sign == "-" and -1 or 1) * (hours * 3600 + minutes * 60)
end

---Returns the year, the month, the day, and the rest of the text; nil for the parts if it has no date.
local function split_date(text)
  local year, month, day, rest = match(text, "^(%d%d%d%d)-(%d%d)-(%d%d)(.*)$")
  if not year then
    year, month, day, rest = match(text, "^(%d%d%d%d)(%d%d)(%d%d)(.*)$")
  end
  return tointeger(year), tointeger(month), tointeger(day), rest
end

---Returns the hour, the minute, the second, the fraction and the time zone, or nil if the text is not a time of day.
local function split_clock(text)
  if text == "" then
    return 0, 0, 0, "", ""
  end
  local hour, minute, rest = match(text, "^[tT ](%d%d):?(%d%d)(.*)$")
  if not hour then
    return
  end
  local second, fraction, zone = match(rest, "^:?(%d%d)([.,]?%d*)(.*)$")
  return tointeger(hour), tointeger(minute), tointeger(second or 0), fraction or "", zone or rest
end

---Returns the time in a text as seconds since 1970, or nil if the text is not a time.
local function read(text)
  local year, month, day, clock = split_date(text)
  if not year or month < 1 or month > 12 or day < 1 or day > days_in(year, month) then
    return
  end
  local hour, minute, second, fraction, zone = split_clock(clock)
  local ahead = hour and seconds_ahead(zone)
  if not ahead or hour > 24 or minute > 59 or second > 60 or find(fraction, "^[.,]$") then
    return
  end
  local seconds = days_to(year, month, day) * DAY + hour * 3600 + minute * 60 + second - ahead
  if hour == 24 and (minute > 0 or second > 0 or find(fraction, "[1-9]")) then
    return
  end
  return find(fraction, "[1-9]") and seconds + tonumber("0." .. match(fraction, "%d+")) or seconds
end

function time.parse(text)
  if type(text) ~= "string" then
    error("time.parse needs a string, not " .. inspect.safely(text), 2)
  end
  return read(text) or error("time.parse: " .. format("%q", text) .. " is not a time in the format " .. EXPECTED, 2)
end

local function check_seconds(name, seconds)
  if type(seconds) ~= "number" then
    error(name .. " needs seconds since 1970, not " .. inspect.safely(seconds), 3)
  elseif not (seconds >= EARLIEST and seconds <= LATEST) then
    error(name .. " writes times of the years 0 to 9999, not " .. inspect.safely(seconds), 3)
  end
end

function time.format(seconds, pattern)
  check_seconds("time.format", seconds)
  if pattern == nil then
    local whole, micros = floor(seconds), floor((seconds - floor(seconds)) * 1000000 + 0.5)
    if micros == 1000000 then
      whole, micros = whole + 1, 0
    end
    local fraction = micros > 0 and gsub(format(".%06d", micros), "0+$", "") or ""
    return own_date("!%Y-%m-%dT%H:%M:%S", whole) .. fraction .. "Z"
  elseif type(pattern) ~= "string" or find(pattern, "^%*t") then
    error("time.format: the pattern must be a string such as %Y-%m-%d", 2)
  end
  local ok, text = pcall(own_date, "!" .. pattern, floor(seconds))
  if not ok then
    requests.stop_if_memory(text)
    error("time.format: " .. (match(text, "%((.*)%)$") or text), 2)
  end
  return text
end

return time
