-- What runs in the background: each cron job with its schedule and last good run, each worker with its
-- instances, and for both how the newest deploy went.
--
--   kosmolua run scripts/crons_and_workers.lua [ACCOUNT]

local render = app.integrations.render2[arg[1] or "default"]

local function newest_deploy_status(service)
  local deploys = render.list_deploys({ service_id = service.id, limit = 1 }).deploys
  return deploys[1] and deploys[1].status or "never deployed"
end

local function only(services, kind)
  local found = {}
  for _, service in ipairs(services) do
    if service.type == kind then
      found[#found + 1] = service
    end
  end
  return found
end

local function print_cron(service, deploy_status)
  local last = service.serviceDetails.lastSuccessfulRunAt or "never"
  print(string.format("  %-24s %-14s last good run %s, deploy %s",
    service.name, service.serviceDetails.schedule, last, deploy_status))
end

local function print_worker(service, deploy_status)
  local instances = service.serviceDetails.numInstances or 1
  print(string.format("  %-24s %d x %-10s %s, deploy %s",
    service.name, instances, service.serviceDetails.plan, service.status, deploy_status))
end

local function print_all(title, services, print_one)
  print(#services .. " " .. title)
  local statuses = parallel.map(services, newest_deploy_status)
  for i, service in ipairs(services) do
    print_one(service, statuses[i])
  end
end

local services = render.list_services({ type = { "cron_job", "background_worker" }, all = true }).services
print_all("cron jobs", only(services, "cron_job"), print_cron)
print_all("workers", only(services, "background_worker"), print_worker)
