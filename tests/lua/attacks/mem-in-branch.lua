-- expect: limit:memory
-- why: a branch of parallel, pcall inside it, and a coroutine inside that
parallel.all({
  function()
    pcall(coroutine.wrap(function()
      local t = {}
      while true do t[#t + 1] = ("x"):rep(1000000) .. #t end
    end))
  end,
})
return "PWNED"
