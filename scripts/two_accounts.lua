-- Two accounts side by side: which services only one of them has, and where plan, region or status differ.
-- Services are matched by name; a "-prod" or "-staging" at the end of a name does not count.
--
--   kosmolua run scripts/two_accounts.lua [LEFT RIGHT]        (production and staging, if not given)

local left_name, right_name = arg[1] or "production", arg[2] or "staging"

local function plain_name(service)
  return (service.name:gsub("%-prod$", ""):gsub("%-staging$", ""))
end

local function services_by_name(account)
  local by_name = {}
  for _, service in ipairs(app.integrations.render2[account].list_services({ all = true }).services) do
    by_name[plain_name(service)] = service
  end
  return by_name
end

local function names_of_both(left, right)
  local names = {}
  for name in pairs(left) do
    names[#names + 1] = name
  end
  for name in pairs(right) do
    if not left[name] then
      names[#names + 1] = name
    end
  end
  table.sort(names)
  return names
end

local function differences(a, b)
  local found = {}
  for _, key in ipairs({ "plan", "region", "numInstances" }) do
    local x, y = a.serviceDetails[key], b.serviceDetails[key]
    if x ~= y then
      found[#found + 1] = string.format("%s %s/%s", key, x or "-", y or "-")
    end
  end
  if a.status ~= b.status then
    found[#found + 1] = string.format("status %s/%s", a.status, b.status)
  end
  return table.concat(found, ", ")
end

local accounts = parallel.all({
  function() return services_by_name(left_name) end,
  function() return services_by_name(right_name) end,
})
local left, right = accounts[1], accounts[2]

local only_left, only_right, same = 0, 0, 0
for _, name in ipairs(names_of_both(left, right)) do
  local a, b = left[name], right[name]
  if not b then
    only_left = only_left + 1
  elseif not a then
    only_right = only_right + 1
    print(name .. ": only in " .. right_name)
  else
    local found = differences(a, b)
    if found == "" then
      same = same + 1
    else
      print(name .. ": " .. found)
    end
  end
end

print(string.format("%d alike, %d only in %s, %d only in %s", same, only_left, left_name, only_right, right_name))
