-- Which services have a newest deploy that failed, what was shipped, and what was live before it.
-- Asks for the newest deploys of every service, several services at once.
--
--   kosmolua run scripts/failed_deploys.lua [ACCOUNT]

local render = app.integrations.render2[arg[1] or "default"]

local FAILED = { build_failed = true, update_failed = true, pre_deploy_failed = true }

local function newest_deploys(service)
  return render.list_deploys({ service_id = service.id, limit = 5 }).deploys
end

local function first_with_status(deploys, status)
  for _, deploy in ipairs(deploys) do
    if deploy.status == status then
      return deploy
    end
  end
end

local function what_was_shipped(deploy)
  if deploy.image then
    return "image " .. deploy.image.ref
  end
  return deploy.commit.id:sub(1, 8) .. " " .. deploy.commit.message
end

local services = render.list_services({ suspended = false, all = true }).services
local histories = parallel.map(services, newest_deploys)

local failures = 0
for i, service in ipairs(services) do
  local newest = histories[i][1]
  if newest and FAILED[newest.status] then
    failures = failures + 1
    local live = first_with_status(histories[i], "live")
    print(service.name .. ": " .. newest.status .. " at " .. (newest.finishedAt or "?"))
    print("  shipped " .. what_was_shipped(newest))
    print("  live    " .. (live and what_was_shipped(live) or "nothing among the last five deploys"))
    print("  open    " .. service.dashboardUrl)
  end
end

print(failures .. " of " .. #services .. " services have a failed newest deploy")
