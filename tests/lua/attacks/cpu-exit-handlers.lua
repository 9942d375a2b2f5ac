-- expect: limit:cpu
-- why: an exit that is refused is an error like any other, and a loop of them ends by the limit.
while true do pcall(exit, -1) pcall(exit, {}) pcall(time.parse, "x") pcall(url.decode, "%") end
