-- Texts in other forms: base64, hashes, parts of URLs.

local every = {}
for code = 0, 255 do
  every[#every + 1] = string.char(code)
end
local bytes = table.concat(every)

print(base64.encode(""), base64.encode("f"), base64.encode("fo"), base64.encode("foo"), base64.encode("\xff\xfe~?"))
--> 	Zg==	Zm8=	Zm9v	//5+Pw==
print(base64.encode("\xff\xfe~?", { url = true }), base64.decode("__5-Pw") == "\xff\xfe~?", base64.decode(" Zm\n8 =\r\n"))
--> __5-Pw	true	fo
print(base64.decode(base64.encode(bytes)) == bytes, base64.decode(base64.encode(bytes, { url = true })) == bytes, #base64.decode(""))
--> true	true	0
for _, text in ipairs({ "Z", "Zm9v!", "Zm=9", "====", "Zm9vZ", "Zm9v\0", "é" }) do
  assert(not pcall(base64.decode, text), text)
end
local function try(f, ...)
  local arguments = table.pack(...)
  local _, problem = pcall(function() local _ = f(table.unpack(arguments, 1, arguments.n)) end)
  print(problem)
end
try(base64.decode, "%")
--> codecs.lua:20: base64.decode: the text is not base64
try(base64.encode, 5)
--> codecs.lua:20: base64.encode: the text must be a string, not 5

-- RFC 4231, RFC 6234 and RFC 1321 have these.
print(hash.sha256(""))
--> e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
print(hash.sha256("abc"), hash.sha1("abc"), hash.md5("abc"))
--> ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad	a9993e364706816aba3e25717850c26c9cd0d89d	900150983cd24fb0d6963f7d28e17f72
print(hash.hmac_sha256("Jefe", "what do ya want for nothing?"))
--> 5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843
print(hash.hmac_sha256(("\xaa"):rep(131), "Test Using Larger Than Block-Size Key - Hash Key First"))
--> 60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54
print(hash.sha1(bytes), hash.sha256(("a"):rep(1000000)))
--> 4916d6bdb7f78e6803698cab32d1586ea457dfc8	cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0
try(hash.md5, nil)
--> codecs.lua:20: hash.md5: the text must be a string, not nil
try(hash.hmac_sha256, {}, "x")
--> codecs.lua:20: hash.hmac_sha256: the key must be a string, not {}

print(url.encode("a b/c?d=é&~-_."), url.decode("a%20b%2fc%C3%a9+"))
--> a%20b%2Fc%3Fd%3D%C3%A9%26~-_.	a b/cé+
print(url.decode(url.encode(bytes)) == bytes, url.encode(""), url.decode("100%25"))
--> true		100%
for _, text in ipairs({ "%", "%a", "a%zz", "%2", "100% of", "%4%" }) do
  assert(not pcall(url.decode, text), text)
end
try(url.decode, "ab%g1")
--> codecs.lua:20: url.decode: two hexadecimal digits must follow the % at position 3
print(url.query({ limit = 5, name = "a b", type = { "web", "cron" }, all = true }), url.query({}) == "")
--> all=true&limit=5&name=a%20b&type=web&type=cron	true
try(url.query, "x=1")
--> codecs.lua:20: url.query needs a table such as { limit = 5 }, not x=1
try(url.query, { "x" })
--> codecs.lua:20: url.query needs a table such as { limit = 5 }, not one with the key 1
print(url.query({ large = 2 ^ 53, third = 1 / 3 }), csv.format({ { 2 ^ 53, 0.5, 1 / 0 } }))
--> large=9007199254740992.0&third=0.3333333333333333	9007199254740992.0,0.5,inf
--> 
