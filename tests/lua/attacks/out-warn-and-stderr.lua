-- expect: blocked
-- why: standard error is the host's
if warn or io or (os.execute and true) then return "PWNED" end
return "blocked"
