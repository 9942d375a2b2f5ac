-- Times: what the clocks say, and texts of RFC 3339 and ISO 8601.

print(math.type(time.now()), math.abs(time.now() - os.time()) < 2)
--> float	true

-- A text without a zone is in UTC; the result is an integer if there is no fraction.
print(time.parse("1970-01-01"), time.parse("2026-03-02T09:00:00Z"), time.parse("2026-03-02 09:00"))
--> 0	1772442000	1772442000
print(time.parse("2026-03-02T10:00:00+01:00"), time.parse("2026-03-02T04:30:00-0430"), time.parse("2026-03-02T10:00+01"))
--> 1772442000	1772442000	1772442000
print(time.parse("20260302T090000z"), time.parse("2026-03-02t09:00:00.250Z"), time.parse("2026-03-02T09:00:00,5Z"))
--> 1772442000	1772442000.25	1772442000.5
print(time.parse("2024-02-29T23:59:60Z") - time.parse("2024-02-29"), time.parse("2026-03-02T24:00:00Z"))
--> 86400	1772496000
print(time.parse("1969-12-31T23:59:59Z"), time.parse("0000-03-01"), time.parse("9999-12-31T23:59:59Z"))
--> -1	-62162035200	253402300799

-- Every day of 400 years has its number, and finds its way back.
local days = 0
for day = time.parse("1900-01-01"), time.parse("2300-01-01"), 86400 do
  days = days + (time.parse(time.format(day, "%Y-%m-%d")) == day and 1 or 0)
end
print(days)
--> 146098

local wrong = {
  "", "2026", "2026-13-01", "2026-00-10", "2026-02-29", "2100-02-29", "2026-04-31", "2026-03-02T25:00Z", "2026-03-02T24:00:01Z",
  "2026-03-02T09:60", "2026-03-02T09:00:61", "2026-03-02T09:00:00.Z", "2026-03-02T09:00:00+24:00", "2026-03-02T09:00:00 UTC",
  "2026-03-02T09:00:00+1", "02.03.2026", "2026-W10-1", "now", "2026-03-02T", " 2026-03-02", "2026-03-02T09:00:00.5.5Z",
}
for _, text in ipairs(wrong) do
  assert(not pcall(time.parse, text), text)
end
print(select(2, pcall(function() local _ = time.parse("2026-02-30") end)))
--> time.lua:34: time.parse: "2026-02-30" is not a time in the format RFC 3339 or ISO 8601, such as 2026-03-02T09:00:00Z
print(select(2, pcall(function() local _ = time.parse(nil) end)))
--> time.lua:36: time.parse needs a string, not nil

-- RFC 3339 comes out, in UTC and with what there is of a second, or what a pattern says.
print(time.format(0), time.format(1772442000.5), time.format(-0.25), time.format(1.9999999))
--> 1970-01-01T00:00:00Z	2026-03-02T09:00:00.5Z	1969-12-31T23:59:59.75Z	1970-01-01T00:00:02Z
print(time.format(1772442000, "%d.%m.%Y %H:%M"), time.format(1772442000.9, "%S"), time.format(0, "") == "", time.format(0, "%%"))
--> 02.03.2026 09:00	00	true	%
print(time.parse(time.format(1772442000.123456)) == 1772442000.123456)
--> true
for _, seconds in ipairs({ 1e300, -1e300, 0 / 0, math.huge, 253402300800, "x", {} }) do
  assert(not pcall(time.format, seconds))
end
print(select(2, pcall(function() local _ = time.format(0, "%Q") end)))
--> time.lua:49: time.format: invalid conversion specifier '%Q'
print(select(2, pcall(function() local _ = time.format(0, "*t") end)))
--> time.lua:51: time.format: the pattern must be a string such as %Y-%m-%d
print(select(2, pcall(function() local _ = time.format("0") end)))
--> time.lua:53: time.format needs seconds since 1970, not 0
