-- Creates a web service and waits for its first deploy. When the service exists already, its newest deploy
-- is waited for instead, so that the script can be run again. A deploy that fails is an error, with the
-- last lines of the log.
--
--   kosmolua run scripts/create_and_wait.lua [NAME [REPOSITORY]] --yes --timeout 600

local render = app.integrations.render2

local name = arg[1] or "my-api"
local repository = arg[2] or "https://github.com/myorg/my-api"

local UNDER_WAY = {
  created = true,
  queued = true,
  build_in_progress = true,
  pre_deploy_in_progress = true,
  update_in_progress = true,
}
local MOST_LOOKS = 600

local function existing_service()
  return render.list_services({ name = name }).services[1]
end

local function create_service()
  local created = render.create_service({
    type = "web_service",
    name = name,
    repo = repository,
    build_command = "npm ci && npm run build",
    start_command = "npm start",
    env_vars = { NODE_ENV = "production", SESSION_SECRET = { generate = true } },
  })
  print("created " .. created.service.id .. " on " .. created.runtime)
  return created.service, created.deploy_id
end

local function newest_deploy_id(service)
  local deploys = render.list_deploys({ service_id = service.id, limit = 1 }).deploys
  return deploys[1] and deploys[1].id
end

-- A look every five seconds is well within Render's rate limit.
local function wait_for(service, deploy_id)
  local seen
  for _ = 1, MOST_LOOKS do
    local deploy = render.get_deploy({ service_id = service.id, deploy_id = deploy_id }).deploy
    if deploy.status ~= seen then
      seen = deploy.status
      print("deploy " .. deploy_id .. " is " .. seen)
    end
    if not UNDER_WAY[seen] then
      return seen
    end
    sleep(5)
  end
  error("deploy " .. deploy_id .. " is still " .. seen .. "; run this again to go on waiting")
end

local function print_log(service)
  for _, entry in ipairs(render.list_logs({ resource_id = service.id, type = "build", limit = 20 }).logs) do
    print("  " .. entry.timestamp .. " " .. entry.message)
  end
end

local service, deploy_id = existing_service(), nil
if service then
  print(name .. " exists already: " .. service.id)
  deploy_id = newest_deploy_id(service)
else
  service, deploy_id = create_service()
end

local status = wait_for(service, deploy_id)
if status ~= "live" then
  print_log(service)
  error("the deploy of " .. name .. " ended as " .. status)
end
print(name .. " is live at " .. service.url)
