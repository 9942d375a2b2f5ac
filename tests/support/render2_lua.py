"""Settings of services as a script says them in Lua, each with the body that Render is to get.

Each type of service, each way to build one and each field, in the combinations that Render's own tools send.
"""

from __future__ import annotations

from typing import Any

OWNER = "tea-cabc12345678"
SHOP = "https://github.com/acme/shop"
STATE = {
    "web": {"type": "web_service", "repo": SHOP, "serviceDetails": {"runtime": "node", "plan": "starter"}},
    "old web": {"type": "web_service", "repo": SHOP, "serviceDetails": {"env": "node", "plan": "starter"}},
    "free web": {"type": "web_service", "imagePath": "acme/web:1", "serviceDetails": {"env": "image", "plan": "free"}},
    "docker web": {"type": "web_service", "repo": SHOP, "serviceDetails": {"runtime": "docker"}},
    "image web": {"type": "web_service", "imagePath": "acme/web:1", "serviceDetails": {"runtime": "image"}},
    "private": {"type": "private_service", "repo": SHOP, "serviceDetails": {"env": "docker"}},
    "image private": {"type": "private_service", "imagePath": "acme/db:1", "serviceDetails": {"env": "image"}},
    "worker": {"type": "background_worker", "repo": SHOP, "serviceDetails": {"env": "ruby"}},
    "image worker": {"type": "background_worker", "imagePath": "acme/mq:1", "serviceDetails": {"env": "image"}},
    "cron": {"type": "cron_job", "repo": SHOP, "serviceDetails": {"env": "go", "schedule": "5 * * * *"}},
    "docker cron": {"type": "cron_job", "repo": SHOP, "serviceDetails": {"env": "docker", "schedule": "5 * * * *"}},
    "image cron": {"type": "cron_job", "imagePath": "acme/cron:1", "serviceDetails": {"env": "image"}},
    "site": {"type": "static_site", "repo": SHOP, "serviceDetails": {"publishPath": "dist"}},
}
"""What services are before a change; the older replies of Render call the runtime env."""


def image(path: str, credential: str | None = None) -> dict[str, str]:
    """Return an image as a body has it, which belongs to the workspace."""
    return {"imagePath": path, "ownerId": OWNER} | ({"registryCredentialId": credential} if credential else {})


CREATIONS: list[tuple[str, dict[str, Any]]] = [
    (
        """{
            type = "web_service", name = "shop", repo = "https://github.com/acme/shop", branch = "next",
            runtime = "node", build_command = "npm ci", start_command = "npm start", region = "ohio", plan = "pro",
            build_filter = { paths = { "web/**", "lib/**" }, ignored_paths = { "**/*.md" } },
            env_vars = { TOKEN = { generate = true }, LEVEL = "info", WORKERS = 4 },
            secret_files = { ["b.pem"] = "two", ["a.pem"] = "one" },
            disk = { name = "uploads", mount_path = "/srv/uploads", size_gb = 5 },
            pre_deploy_command = "npm run migrate", num_instances = 1, health_check_path = "/up", root_dir = "",
            max_shutdown_delay = 60, pull_request_previews = false, auto_deploy = true,
            maintenance_mode = { enabled = false, uri = "" }, render_subdomain_policy = "disabled",
            ip_allow_list = { { cidr_block = "10.1.0.0/16", description = "office" } }, environment_id = "evm-1",
        }""",
        {
            "type": "web_service",
            "name": "shop",
            "repo": SHOP,
            "branch": "next",
            "rootDir": "",
            "autoDeploy": "yes",
            "environmentId": "evm-1",
            "buildFilter": {"paths": ["web/**", "lib/**"], "ignoredPaths": ["**/*.md"]},
            "envVars": [
                {"key": "LEVEL", "value": "info"},
                {"key": "TOKEN", "generateValue": True},
                {"key": "WORKERS", "value": "4"},
            ],
            "secretFiles": [{"name": "a.pem", "content": "one"}, {"name": "b.pem", "content": "two"}],
            "serviceDetails": {
                "runtime": "node",
                "region": "ohio",
                "plan": "pro",
                "envSpecificDetails": {"buildCommand": "npm ci", "startCommand": "npm start"},
                "disk": {"name": "uploads", "mountPath": "/srv/uploads", "sizeGB": 5},
                "preDeployCommand": "npm run migrate",
                "numInstances": 1,
                "healthCheckPath": "/up",
                "maxShutdownDelaySeconds": 60,
                "pullRequestPreviewsEnabled": "no",
                "maintenanceMode": {"enabled": False, "uri": ""},
                "renderSubdomainPolicy": "disabled",
                "ipAllowList": [{"cidrBlock": "10.1.0.0/16", "description": "office"}],
            },
        },
    ),
    (
        """{
            type = "web_service", name = "landing", image = "acme/landing", plan = "free", region = "frankfurt",
            num_instances = 1, health_check_path = "", root_dir = "", pull_request_previews = false,
        }""",
        {
            "type": "web_service",
            "name": "landing",
            "image": image("acme/landing"),
            "rootDir": "",
            "serviceDetails": {
                "runtime": "image",
                "plan": "free",
                "region": "frankfurt",
                "numInstances": 1,
                "healthCheckPath": "",
                "pullRequestPreviewsEnabled": "no",
            },
        },
    ),
    (
        """{
            type = "web_service", name = "api", image = "registry.example/acme/api:7", registry_credential_id = "rgc-1",
            env_vars = { A = "1", B = "2" }, secret_files = { one = "1" },
            disk = { name = "d", mount_path = "/d", size_gb = 1 },
            autoscaling = {
                enabled = true, min = 2, max = 6,
                criteria = { cpu = { enabled = true, percentage = 55 }, memory = { enabled = false, percentage = 80 } },
            },
        }""",
        {
            "type": "web_service",
            "name": "api",
            "image": image("registry.example/acme/api:7", "rgc-1"),
            "envVars": [{"key": "A", "value": "1"}, {"key": "B", "value": "2"}],
            "secretFiles": [{"name": "one", "content": "1"}],
            "serviceDetails": {
                "runtime": "image",
                "plan": "starter",
                "disk": {"name": "d", "mountPath": "/d", "sizeGB": 1},
                "autoscaling": {
                    "enabled": True,
                    "min": 2,
                    "max": 6,
                    "criteria": {
                        "cpu": {"enabled": True, "percentage": 55},
                        "memory": {"enabled": False, "percentage": 80},
                    },
                },
            },
        },
    ),
    (
        """{
            type = "private_service", name = "search", repo = "https://github.com/acme/shop", runtime = "docker",
            dockerfile_path = "./search/Dockerfile", docker_context = "search", registry_credential_id = "rgc-2",
            start_command = "./search --fast", previews = { generation = "manual" }, auto_deploy_trigger = "checksPass",
        }""",
        {
            "type": "private_service",
            "name": "search",
            "repo": SHOP,
            "branch": "main",
            "autoDeployTrigger": "checksPass",
            "serviceDetails": {
                "runtime": "docker",
                "plan": "starter",
                "envSpecificDetails": {
                    "dockerfilePath": "./search/Dockerfile",
                    "dockerContext": "search",
                    "dockerCommand": "./search --fast",
                    "registryCredentialId": "rgc-2",
                },
                "previews": {"generation": "manual"},
            },
        },
    ),
    (
        """{
            type = "private_service", name = "ledger", image = "acme/ledger", env_vars = { B = "2", A = "1" },
            secret_files = { two = "2", one = "1" }, disk = { name = "book", mount_path = "/book", size_gb = 2 },
            pre_deploy_command = "ledger check", previews = { generation = "automatic" },
            pull_request_previews = false, num_instances = 1, region = "oregon",
        }""",
        {
            "type": "private_service",
            "name": "ledger",
            "image": image("acme/ledger"),
            "envVars": [{"key": "A", "value": "1"}, {"key": "B", "value": "2"}],
            "secretFiles": [{"name": "one", "content": "1"}, {"name": "two", "content": "2"}],
            "serviceDetails": {
                "runtime": "image",
                "plan": "starter",
                "region": "oregon",
                "numInstances": 1,
                "disk": {"name": "book", "mountPath": "/book", "sizeGB": 2},
                "preDeployCommand": "ledger check",
                "previews": {"generation": "automatic"},
                "pullRequestPreviewsEnabled": "no",
            },
        },
    ),
    (
        """{
            type = "background_worker", name = "mailer", repo = "https://github.com/acme/shop", branch = "trunk",
            auto_deploy = false, build_filter = { paths = { "mail/**" }, ignored_paths = { "mail/test/**" } },
            build_command = "bundle install", start_command = "bundle exec sidekiq", num_instances = 2,
            pull_request_previews = false, root_dir = "mail",
        }""",
        {
            "type": "background_worker",
            "name": "mailer",
            "repo": SHOP,
            "branch": "trunk",
            "rootDir": "mail",
            "autoDeploy": "no",
            "buildFilter": {"paths": ["mail/**"], "ignoredPaths": ["mail/test/**"]},
            "serviceDetails": {
                "runtime": "ruby",
                "plan": "starter",
                "numInstances": 2,
                "envSpecificDetails": {"buildCommand": "bundle install", "startCommand": "bundle exec sidekiq"},
                "pullRequestPreviewsEnabled": "no",
            },
        },
    ),
    (
        """{
            type = "cron_job", name = "backup", image = "acme/backup", schedule = "15 2 * * *", region = "oregon",
            start_command = "", docker_context = "", dockerfile_path = "", env_vars = { A = "1" },
            secret_files = { one = "1" },
        }""",
        {
            "type": "cron_job",
            "name": "backup",
            "image": image("acme/backup"),
            "envVars": [{"key": "A", "value": "1"}],
            "secretFiles": [{"name": "one", "content": "1"}],
            "serviceDetails": {
                "runtime": "image",
                "plan": "starter",
                "region": "oregon",
                "schedule": "15 2 * * *",
                "envSpecificDetails": {"dockerCommand": "", "dockerContext": "", "dockerfilePath": ""},
            },
        },
    ),
    (
        """{
            type = "cron_job", name = "rollup", repo = "https://github.com/acme/shop", branch = "trunk",
            build_filter = { paths = { "rollup/**" } }, runtime = "docker", docker_context = ".",
            dockerfile_path = "./Dockerfile", schedule = "0 * * * *",
        }""",
        {
            "type": "cron_job",
            "name": "rollup",
            "repo": SHOP,
            "branch": "trunk",
            "buildFilter": {"paths": ["rollup/**"], "ignoredPaths": []},
            "serviceDetails": {
                "runtime": "docker",
                "plan": "starter",
                "schedule": "0 * * * *",
                "envSpecificDetails": {"dockerContext": ".", "dockerfilePath": "./Dockerfile"},
            },
        },
    ),
    (
        """{
            type = "static_site", name = "docs", repo = "https://github.com/acme/shop", branch = "trunk",
            auto_deploy = true, root_dir = "docs", build_command = "make html && make check", publish_path = "out",
            build_filter = { paths = { "docs/**", "logo/**" }, ignored_paths = { "docs/old/**" } },
            env_vars = { TITLE = "Docs" }, previews = { generation = "automatic" }, pull_request_previews = false,
            headers = {
                { path = "/*", name = "X-Frame-Options", value = "DENY" },
                { path = "/img/*", name = "Cache-Control", value = "max-age=60" },
            },
            routes = {
                { type = "rewrite", source = "/guide", destination = "/guide/index.html" },
                { type = "redirect", source = "/old", destination = "/new", priority = 1 },
            },
        }""",
        {
            "type": "static_site",
            "name": "docs",
            "repo": SHOP,
            "branch": "trunk",
            "rootDir": "docs",
            "autoDeploy": "yes",
            "buildFilter": {"paths": ["docs/**", "logo/**"], "ignoredPaths": ["docs/old/**"]},
            "envVars": [{"key": "TITLE", "value": "Docs"}],
            "serviceDetails": {
                "buildCommand": "make html && make check",
                "publishPath": "out",
                "previews": {"generation": "automatic"},
                "pullRequestPreviewsEnabled": "no",
                "headers": [
                    {"path": "/*", "name": "X-Frame-Options", "value": "DENY"},
                    {"path": "/img/*", "name": "Cache-Control", "value": "max-age=60"},
                ],
                "routes": [
                    {"type": "rewrite", "source": "/guide", "destination": "/guide/index.html"},
                    {"type": "redirect", "source": "/old", "destination": "/new", "priority": 1},
                ],
            },
        },
    ),
    (
        """{
            type = "static_site", name = "blog", repo = "https://github.com/acme/shop", auto_deploy = false,
            root_dir = "", build_command = "make", publish_path = "public", headers = {}, pull_request_previews = false,
        }""",
        {
            "type": "static_site",
            "name": "blog",
            "repo": SHOP,
            "branch": "main",
            "rootDir": "",
            "autoDeploy": "no",
            "serviceDetails": {
                "buildCommand": "make",
                "publishPath": "public",
                "headers": [],
                "pullRequestPreviewsEnabled": "no",
            },
        },
    ),
]
CHANGES: list[tuple[str, str, dict[str, Any]]] = [
    (
        "web",
        """{
            name = "shop", repo = "https://github.com/acme/store", branch = "trunk", root_dir = "", auto_deploy = false,
            build_filter = { paths = { "pkg/**" }, ignored_paths = { "pkg/test/**" } }, plan = "starter",
            build_command = "yarn; yarn build", start_command = "yarn start", pre_deploy_command = "",
            health_check_path = "", pull_request_previews = false, maintenance_mode = { enabled = false, uri = "" },
            cache = { profile = "no-cache" },
        }""",
        {
            "name": "shop",
            "repo": "https://github.com/acme/store",
            "branch": "trunk",
            "rootDir": "",
            "autoDeploy": "no",
            "buildFilter": {"paths": ["pkg/**"], "ignoredPaths": ["pkg/test/**"]},
            "serviceDetails": {
                "plan": "starter",
                "envSpecificDetails": {"buildCommand": "yarn; yarn build", "startCommand": "yarn start"},
                "preDeployCommand": "",
                "healthCheckPath": "",
                "pullRequestPreviewsEnabled": "no",
                "maintenanceMode": {"enabled": False, "uri": ""},
                "cache": {"profile": "no-cache"},
            },
        },
    ),
    (
        "old web",
        """{
            runtime = "python", build_command = "pip install .", start_command = "gunicorn shop",
            repo = "https://github.com/acme/shop", branch = "main", plan = "starter",
        }""",
        {
            "repo": SHOP,
            "branch": "main",
            "serviceDetails": {
                "runtime": "python",
                "plan": "starter",
                "envSpecificDetails": {"buildCommand": "pip install .", "startCommand": "gunicorn shop"},
            },
        },
    ),
    (
        "old web",
        """{
            runtime = "docker", name = "shop-docker", repo = "https://github.com/acme/image", start_command = "",
            docker_context = ".", dockerfile_path = "./Dockerfile",
        }""",
        {
            "name": "shop-docker",
            "repo": "https://github.com/acme/image",
            "serviceDetails": {
                "runtime": "docker",
                "envSpecificDetails": {"dockerCommand": "", "dockerContext": ".", "dockerfilePath": "./Dockerfile"},
            },
        },
    ),
    (
        "docker web",
        """{ runtime = "image", name = "shop-image", image = "acme/shop:9", root_dir = "", start_command = "" }""",
        {
            "name": "shop-image",
            "image": image("acme/shop:9"),
            "rootDir": "",
            "serviceDetails": {"runtime": "image", "envSpecificDetails": {"dockerCommand": ""}},
        },
    ),
    (
        "image web",
        """{ image = "acme/web:2", runtime = "image", start_command = "serve --all", health_check_path = "" }""",
        {
            "image": image("acme/web:2"),
            "serviceDetails": {
                "runtime": "image",
                "envSpecificDetails": {"dockerCommand": "serve --all"},
                "healthCheckPath": "",
            },
        },
    ),
    (
        "free web",
        """{ image = "acme/web:1", plan = "free", runtime = "image", start_command = "", pre_deploy_command = "" }""",
        {
            "image": image("acme/web:1"),
            "serviceDetails": {
                "runtime": "image",
                "plan": "free",
                "envSpecificDetails": {"dockerCommand": ""},
                "preDeployCommand": "",
            },
        },
    ),
    *(
        (
            state,
            """{
                image = "acme/new", name = "renamed", root_dir = "", start_command = "", plan = "standard",
                pre_deploy_command = "make check", previews = { generation = "manual" }, pull_request_previews = false,
                max_shutdown_delay = 5,
            }""",
            {
                "name": "renamed",
                "image": image("acme/new"),
                "rootDir": "",
                "serviceDetails": {
                    "plan": "standard",
                    "envSpecificDetails": {"dockerCommand": ""},
                    "preDeployCommand": "make check",
                    "previews": {"generation": "manual"},
                    "pullRequestPreviewsEnabled": "no",
                    "maxShutdownDelaySeconds": 5,
                },
            },
        )
        for state in ("image private", "image worker")
    ),
    *(
        (
            state,
            """{
                auto_deploy = true, branch = "main", docker_context = ".", dockerfile_path = "./Dockerfile",
                start_command = "./run --once", plan = "starter",
            }""",
            {
                "autoDeploy": "yes",
                "branch": "main",
                "serviceDetails": {
                    "plan": "starter",
                    "envSpecificDetails": {
                        "dockerContext": ".",
                        "dockerfilePath": "./Dockerfile",
                        "dockerCommand": "./run --once",
                    },
                },
            },
        )
        for state in ("private", "docker cron")
    ),
    (
        "worker",
        """{ build_filter = { paths = { "a/**" }, ignored_paths = {} }, root_dir = "a", build_command = "make" }""",
        {
            "rootDir": "a",
            "buildFilter": {"paths": ["a/**"], "ignoredPaths": []},
            "serviceDetails": {"envSpecificDetails": {"buildCommand": "make"}},
        },
    ),
    (
        "cron",
        """{ auto_deploy = false, build_command = "go build", start_command = "./app", schedule = "0 4 * * *" }""",
        {
            "autoDeploy": "no",
            "serviceDetails": {
                "schedule": "0 4 * * *",
                "envSpecificDetails": {"buildCommand": "go build", "startCommand": "./app"},
            },
        },
    ),
    (
        "image cron",
        """{
            image = "acme/cron", name = "nightly", root_dir = "", plan = "standard", schedule = "0 4 * * *",
            registry_credential_id = "rgc-3",
        }""",
        {
            "name": "nightly",
            "image": image("acme/cron", "rgc-3"),
            "rootDir": "",
            "serviceDetails": {"plan": "standard", "schedule": "0 4 * * *"},
        },
    ),
    (
        "site",
        """{
            name = "docs", repo = "https://github.com/acme/docs", branch = "main", root_dir = "",
            auto_deploy_trigger = "commit", build_filter = {}, build_command = "make", publish_path = "out",
            previews = { generation = "off" }, pull_request_previews = false, ip_allow_list = {},
            render_subdomain_policy = "enabled",
        }""",
        {
            "name": "docs",
            "repo": "https://github.com/acme/docs",
            "branch": "main",
            "rootDir": "",
            "autoDeployTrigger": "commit",
            "buildFilter": {"paths": [], "ignoredPaths": []},
            "serviceDetails": {
                "buildCommand": "make",
                "publishPath": "out",
                "previews": {"generation": "off"},
                "pullRequestPreviewsEnabled": "no",
                "ipAllowList": [],
                "renderSubdomainPolicy": "enabled",
            },
        },
    ),
]
