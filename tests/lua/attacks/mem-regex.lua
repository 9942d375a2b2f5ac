-- expect: limit:memory
-- why: a small text becomes a large one inside Python, or on the way back
return #regex.match(("a"):rep(30000000), "a+")
