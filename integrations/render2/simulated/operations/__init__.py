"""The operations of the simulator: one for each method and path of https://api-docs.render.com/reference.

An operation has the name of the function in ``integrations/render2`` that sends this request.
"""

from __future__ import annotations

from ..call import Operation
from . import (
    activity,
    deploys,
    disks,
    domains,
    files,
    groups,
    jobs,
    metrics,
    owners,
    projects,
    scaling,
    services,
    site_rules,
    stores,
    variables,
)

_S = "/services/{service_id}"
_D = "/disks/{disk_id}"
_G = "/env-groups/{env_group_id}"
_P = "/postgres/{postgres_id}"
_K = "/key-value/{key_value_id}"
OPERATIONS: dict[str, dict[str, Operation]] = {
    "/users": {"GET": owners.get_current_user},
    "/owners": {"GET": owners.list_owners},
    "/services": {"GET": services.list_services, "POST": services.create_service},
    _S: {"GET": services.get_service, "PATCH": services.update_service, "DELETE": services.delete_service},
    _S + "/suspend": {"POST": services.suspend_service},
    _S + "/resume": {"POST": services.resume_service},
    _S + "/restart": {"POST": services.restart_service},
    _S + "/scale": {"POST": services.scale_service},
    _S + "/deploys": {"GET": deploys.list_deploys, "POST": deploys.trigger_deploy},
    _S + "/deploys/{deploy_id}": {"GET": deploys.get_deploy},
    _S + "/deploys/{deploy_id}/cancel": {"POST": deploys.cancel_deploy},
    _S + "/rollback": {"POST": deploys.rollback_deploy},
    _S + "/jobs": {"GET": jobs.list_jobs, "POST": jobs.create_job},
    _S + "/jobs/{job_id}": {"GET": jobs.get_job},
    _S + "/jobs/{job_id}/cancel": {"POST": jobs.cancel_job},
    "/cron-jobs/{service_id}/runs": {"POST": jobs.run_cron_job},
    _S + "/env-vars": {"GET": variables.list_env_vars, "PUT": variables.replace_all_env_vars},
    _S + "/env-vars/{key}": {
        "GET": variables.get_env_var,
        "PUT": variables.set_env_var,
        "DELETE": variables.delete_env_var,
    },
    _S + "/secret-files": {"GET": files.list_secret_files, "PUT": files.replace_all_secret_files},
    _S + "/secret-files/{name}": {
        "GET": files.get_secret_file,
        "PUT": files.set_secret_file,
        "DELETE": files.delete_secret_file,
    },
    _S + "/instances": {"GET": scaling.list_instances},
    _S + "/autoscaling": {"PUT": scaling.set_autoscaling, "DELETE": scaling.delete_autoscaling},
    _S + "/events": {"GET": activity.list_events},
    _S + "/custom-domains": {"GET": domains.list_custom_domains, "POST": domains.create_custom_domain},
    _S + "/custom-domains/{domain}": {"GET": domains.get_custom_domain, "DELETE": domains.delete_custom_domain},
    _S + "/custom-domains/{domain}/verify": {"POST": domains.verify_custom_domain},
    "/logs": {"GET": activity.list_logs},
    _S + "/headers": {
        "GET": site_rules.list_headers,
        "POST": site_rules.add_header,
        "PUT": site_rules.replace_all_headers,
    },
    _S + "/headers/{header_id}": {"DELETE": site_rules.delete_header},
    _S + "/routes": {
        "GET": site_rules.list_routes,
        "POST": site_rules.add_route,
        "PUT": site_rules.replace_all_routes,
    },
    _S + "/routes/{route_id}": {"DELETE": site_rules.delete_route},
    "/disks": {"GET": disks.list_disks, "POST": disks.add_disk},
    _D: {"GET": disks.get_disk, "PATCH": disks.update_disk, "DELETE": disks.delete_disk},
    _D + "/snapshots": {"GET": disks.list_disk_snapshots},
    _D + "/snapshots/restore": {"POST": disks.restore_disk_snapshot},
    "/env-groups": {"GET": groups.list_env_groups, "POST": groups.create_env_group},
    _G: {"GET": groups.get_env_group, "PATCH": groups.update_env_group, "DELETE": groups.delete_env_group},
    _G + "/services/{service_id}": {"POST": groups.link_env_group, "DELETE": groups.unlink_env_group},
    _G + "/env-vars/{key}": {
        "GET": groups.get_env_group_var,
        "PUT": groups.set_env_group_var,
        "DELETE": groups.delete_env_group_var,
    },
    _G + "/secret-files/{name}": {
        "GET": groups.get_env_group_file,
        "PUT": groups.set_env_group_file,
        "DELETE": groups.delete_env_group_file,
    },
    "/metrics/{metric}": {"GET": metrics.get_metrics},
    "/projects": {"GET": projects.list_projects},
    "/projects/{project_id}": {"GET": projects.get_project},
    "/environments": {"GET": projects.list_environments},
    "/environments/{environment_id}": {"GET": projects.get_environment},
    "/postgres": {"GET": stores.list_postgres, "POST": stores.create_postgres},
    _P: {"GET": stores.get_postgres, "PATCH": stores.update_postgres, "DELETE": stores.delete_postgres},
    _P + "/connection-info": {"GET": stores.get_postgres_connection_info},
    _P + "/suspend": {"POST": stores.suspend_postgres},
    _P + "/resume": {"POST": stores.resume_postgres},
    _P + "/restart": {"POST": stores.restart_postgres},
    "/key-value": {"GET": stores.list_key_values, "POST": stores.create_key_value},
    _K: {"GET": stores.get_key_value, "PATCH": stores.update_key_value, "DELETE": stores.delete_key_value},
    _K + "/connection-info": {"GET": stores.get_key_value_connection_info},
    _K + "/suspend": {"POST": stores.suspend_key_value},
    _K + "/resume": {"POST": stores.resume_key_value},
}
NAMES = frozenset(operation.__name__ for methods in OPERATIONS.values() for operation in methods.values())
