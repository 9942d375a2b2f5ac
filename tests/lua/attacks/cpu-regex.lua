-- expect: limit:cpu
-- why: a regular expression that needs years
return regex.match(("a"):rep(64) .. "b", "^(a+)+$")
