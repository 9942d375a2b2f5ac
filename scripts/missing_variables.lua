-- Which web services and workers lack an environment variable that all should have. Only names of
-- variables are printed, never values.
--
--   kosmolua run scripts/missing_variables.lua [NAME ...]        (LOG_LEVEL and SENTRY_DSN, if not given)

local render = app.integrations.render2

local wanted = #arg > 0 and { table.unpack(arg) } or { "LOG_LEVEL", "SENTRY_DSN" }

local function names_set(service)
  local names = {}
  for _, variable in ipairs(render.list_env_vars({ service_id = service.id, all = true }).env_vars) do
    names[variable.key] = true
  end
  return names
end

local function missing_from(names)
  local missing = {}
  for _, name in ipairs(wanted) do
    if not names[name] then
      missing[#missing + 1] = name
    end
  end
  return missing
end

local services = render.list_services({ type = { "web_service", "background_worker" }, all = true }).services
local variables = parallel.map(services, names_set)

local incomplete = 0
for i, service in ipairs(services) do
  local missing = missing_from(variables[i])
  if #missing > 0 then
    incomplete = incomplete + 1
    print(string.format("%-28s lacks %s", service.name, table.concat(missing, ", ")))
  end
end
print(incomplete .. " of " .. #services .. " services lack something")
