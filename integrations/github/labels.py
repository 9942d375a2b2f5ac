"""Who can write what GitHub returns, by patterns of functions, each with its reason."""

from kosmolua.plugin import Labels

_SAID = Labels("public", audience="public", why="in a public repository anybody writes it, and anybody reads it")
_PUBLIC = "people outside of the organization write it"
_OF_ADMINS = "settings, which only administrators of the repository or the organization change"
_OF_MEMBERS = "only people who can push, or members of the organization, write it"

LABELS = {
    "list_repos": Labels(
        {"*": "own", "description": "shared", "homepage": "shared"}, why="an owner names repositories"
    ),
    "*search*": Labels("public", why="results from all of GitHub"),
    "*labels*": Labels("shared", why=_OF_MEMBERS),
    "*milestones*": Labels("shared", why=_OF_MEMBERS),
    "orgs_list_issue_*": Labels("own", why=_OF_ADMINS),
    "*issue*": _SAID,
    "*comment*": _SAID,
    "*pull*": _SAID,
    "*review*": _SAID,
    "*discussion*": _SAID,
    "*gist*": Labels("public", audience="public", why="anybody can write a gist, and read one that is not secret"),
    "*reaction*": Labels("public", why="anybody can react, and the reaction names the person"),
    "*fork*": Labels("public", why="anybody can fork a public repository and name the fork"),
    "*stargazer*": Labels("public", why=_PUBLIC),
    "*watch*": Labels("public", why=_PUBLIC),
    "activity_*": Labels("public", why="events quote issues, comments and branches of forks"),
    "*referrers": Labels("public", why="addresses of pages that link to the repository"),
    "*top_paths": Labels("public", why=_PUBLIC),
    "*invitation*": Labels("own", why=_OF_ADMINS),
    "*delivery*": Labels("public", why="what was sent to a webhook quotes the event, and the answer is the receiver's"),
    "*deliveries*": Labels("public", why="what was sent to a webhook quotes the event"),
    "*log*": Labels("public", why="a workflow prints what it finds, such as titles of pull requests from forks"),
    "*artifact*": Labels("public", why="workflows of pull requests from forks can upload them"),
    "*workflow_run*": Labels("public", why="runs are named after branches and titles of pull requests from forks"),
    "checks_*": Labels("public", why="results of workflows, also of pull requests from forks"),
    "*secret_scanning*alert*": Labels("shared", private=("secret",), why="a secret that was pushed, with its place"),
    "*advisor*": Labels("public", why="anybody can report a vulnerability"),
    "*alert*": Labels("shared", why="alerts quote code"),
    "*_variable*": Labels("own", private=("value",), why="variables of workflows, which administrators set"),
    "*_secret*": Labels("own", why="names of secrets, never their values"),
    "users_get_authenticated": Labels("own", why="the account's own profile"),
    "*_authenticated_user": Labels("shared", why="what belongs to the account, also what others shared with it"),
    "users_*": Labels("public", why="anybody writes a profile"),
    "*marketplace*": Labels("public", why=_PUBLIC),
    "*runner*": Labels("own", why=_OF_ADMINS),
    "*protection*": Labels("own", why=_OF_ADMINS),
    "*ruleset*": Labels("own", why=_OF_ADMINS),
    "*permission*": Labels("own", why=_OF_ADMINS),
    "*webhook*": Labels("own", audience="external", why=_OF_ADMINS),
    "*billing*": Labels("own", why=_OF_ADMINS),
    "*collaborator*": Labels("own", audience="external", why=_OF_ADMINS),
    "*deploy_key*": Labels("own", audience="external", why=_OF_ADMINS),
    "teams_*": Labels("own", why=_OF_ADMINS),
    "orgs_*": Labels("own", why=_OF_ADMINS),
    "enterprise_*": Labels("own", why=_OF_ADMINS),
    "meta_*": Labels("own", why="texts of GitHub itself"),
    "rate_limit_*": Labels("own", why="numbers of GitHub itself"),
    "gitignore_*": Labels("own", why="texts of GitHub itself"),
    "licenses_*": Labels("own", why="texts of GitHub itself"),
    "*": Labels("shared", why=_OF_MEMBERS),
}
