"""Who can write what Render returns, by patterns of functions, each with its reason."""

from kosmolua.plugin import Labels

VALUES = ("value", "content")

LABELS = {
    "*log_stream*": Labels("own", why="where logs are sent is a setting of the workspace"),
    "*logs*": Labels("public", why="a service logs the requests that it gets, and anybody can send one"),
    "list_*_filter_values": Labels("public", why="the paths and hosts of requests, which anybody can send"),
    "*_env_var*": Labels("own", private=VALUES, why="values of variables, which the workspace's people set"),
    "*_env_group*": Labels("own", private=VALUES, why="values of variables and files that services share"),
    "*_secret_file*": Labels("own", private=VALUES, why="contents of files that the workspace's people set"),
    "*connection_info": Labels("own", private=True, why="passwords and addresses of databases"),
    "*registry_credential*": Labels("own", private=("authToken",), why="a credential that the workspace's people set"),
    "*deploy*": Labels({"*": "own", "message": "shared"}, why="messages of commits, by everybody who can push"),
    "rollback_deploy": Labels({"*": "own", "message": "shared"}, why="messages of commits, by everybody who can push"),
    "preview_service": Labels({"*": "own", "name": "shared"}, why="named after a pull request"),
    "*events*": Labels({"*": "own", "details": "shared"}, why="details quote commits and the actions of members"),
    "retrieve_event": Labels({"*": "own", "details": "shared"}, why="details quote commits and actions of members"),
    "*task_run*": Labels("shared", why="input and results of tasks, which the service's own code writes"),
    "*": Labels("own", why="settings, which only people of the workspace change, and what Render measures"),
}
