-- The environment is Lua 5.4's, but for what reaches outside.

local function names_of(library)
  local names = {}
  for name in next, library do
    names[#names + 1] = name
  end
  table.sort(names)
  return table.concat(names, " ")
end

print(names_of(_G))
--> _G _VERSION app arg assert base64 collectgarbage coroutine csv debug dump error exit getmetatable hash ipairs json load lua_list_docs lua_read_doc lua_search_docs math next os pairs parallel params pcall print rawequal rawget rawlen rawset regex secrets select setmetatable sleep string table time tonumber tostring type url utf8 wait_until write xpcall
print(names_of(string))
--> byte char find format gmatch gsub len lower match pack packsize rep reverse sub unpack upper
print(names_of(table))
--> concat insert move pack remove sort unpack
print(names_of(math))
--> abs acos asin atan ceil cos deg exp floor fmod huge log max maxinteger min mininteger modf pi rad random randomseed sin sqrt tan tointeger type ult
print(names_of(coroutine))
--> close create isyieldable resume running status wrap yield
print(names_of(utf8))
--> char charpattern codepoint codes len offset
print(names_of(os))
--> clock date difftime time
print(names_of(debug))
--> traceback
print(names_of(json), names_of(regex), names_of(parallel), names_of(time))
--> array decode encode null	gsub match match_all split	all map	format now parse
print(names_of(base64), names_of(hash), names_of(url), names_of(csv))
--> decode encode	hmac_sha256 md5 sha1 sha256	decode encode query	format parse
print(_VERSION, _G == _ENV, ("x"):rep(3), ("%d"):format(7))
--> Lua 5.4	true	xxx	7

-- Methods of strings are the script's own copy; their metatable is out of reach.
string.shout = function(text) return text:upper() .. "!" end
print(("hey"):shout(), getmetatable(""))
--> HEY!	false

-- The standard functions are as complete as they should be.
print(select("#", table.unpack({ 1, nil, 3 }, 1, 3)), math.type(3), math.type(3.0), 7 // 2, 7 / 2, 1 << 62)
--> 3	integer	float	3	3.5	4611686018427387904
goto over
print("never")
::over::
do
  local closed <close> = setmetatable({}, { __close = function() print("closed") end })
  local constant <const> = 5
  print(constant)
end
--> 5
--> closed
print(os.date("!%Y-%m-%d", 0), os.time({ year = 2020, month = 1, day = 1, hour = 12 }) > 0, os.difftime(5, 3), os.clock() >= 0)
--> 1970-01-01	true	2.0	true
print(type(os.date("*t").hour), #os.date() > 0)
--> number	true
print(collectgarbage("count") > 0, collectgarbage(), collectgarbage("step"), collectgarbage("isrunning"))
--> true	0	true	true
