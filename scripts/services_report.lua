-- A report on every service of a Render account: how many of each type and region, what is suspended,
-- and one line for each service, sorted by name.
--
--   kosmolua run scripts/services_report.lua [ACCOUNT]

local render = app.integrations.render2[arg[1] or "default"]

local function count_by(services, key_of)
  local counts = {}
  for _, service in ipairs(services) do
    local key = key_of(service)
    counts[key] = (counts[key] or 0) + 1
  end
  return counts
end

local function sorted_keys(counts)
  local keys = {}
  for key in pairs(counts) do
    keys[#keys + 1] = key
  end
  table.sort(keys)
  return keys
end

local function print_counts(title, counts)
  print(title)
  for _, key in ipairs(sorted_keys(counts)) do
    print(string.format("  %-20s %4d", key, counts[key]))
  end
end

local services = render.list_services({ all = true }).services
table.sort(services, function(a, b) return a.name < b.name end)

print(#services .. " services")
print_counts("by type", count_by(services, function(service) return service.type end))
print_counts("by status", count_by(services, function(service) return service.status end))
print_counts("by region", count_by(services, function(service)
  return service.serviceDetails.region or "everywhere" -- a static site is served from the edge
end))

for _, service in ipairs(services) do
  local plan = service.serviceDetails.plan or "-"
  print(string.format("%-28s %-18s %-10s %-9s %s", service.name, service.type, service.status, plan, service.url))
end
