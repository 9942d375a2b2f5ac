"""``kosmolua integrations new``: a plugin that works at once, to be changed into the one that is wanted."""

from __future__ import annotations

from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from shlex import quote

import click

from kosmolua.cli import show
from kosmolua.cli.arguments import Options
from kosmolua.cli.opening import open_to_list
from kosmolua.cli.options import listing_options
from kosmolua.cli.streams import standard
from kosmolua.errors import UsageError
from kosmolua.scaffold import AUTH, EXAMPLE_URL, Plan, check_auth, check_name, check_token, check_url, write


@click.command("new")
@click.argument("name")
@click.option(
    "--dir", "parent", type=click.Path(path_type=Path), default=".", metavar="DIR", help="Where to put it [.]."
)
@click.option("--base-url", metavar="URL", help="Where the service is.")
@click.option("--auth", type=click.Choice(AUTH), help="How requests carry a credential [none].")
@click.option("--header", metavar="NAME", help="The header that carries the key, with --auth header [X-Api-Key].")
@click.option("--parameter", metavar="NAME", help="The query's parameter that does, with --auth query [api_key].")
@listing_options
@click.pass_obj
def command(
    earlier: Options,
    name: str,
    parent: Path,
    base_url: str | None,
    auth: str | None,
    header: str | None,
    parameter: str | None,
    options: Options,
) -> None:
    """Write a new plugin into the folder NAME: the integration, its page, a simulator, a test and a pyproject.toml.

    What was not given is asked for on a terminal, and is the usual elsewhere.
    """
    options = options.over(earlier)
    check_name(name, open_to_list(options).catalog.names())
    base_url = _asked("Base URL of the service", base_url, EXAMPLE_URL, check_url)
    auth = auth or ("header" if header else "query" if parameter else None)
    auth = _asked(f"How requests carry a credential ({', '.join(AUTH)})", auth, "none", check_auth)
    if auth == "header":
        header = _asked("Name of the header", header, Plan.header, check_token)
    if auth == "query":
        parameter = _asked("Name of the parameter", parameter, Plan.parameter, check_token)
    files = write(Plan(name, base_url, auth, header or Plan.header, parameter or Plan.parameter), parent)
    if options.json:
        show.as_json([str(file) for file in files])
    else:
        show.line("\n".join([*map(str, files), "", *_next_steps(name, files[0].parent, auth)]))


def _asked(question: str, given: str | None, usual: str, check: Callable[[str], str]) -> str:
    """Return what was given, or what the person at the terminal says, or the usual."""
    if given is not None or not show.somebody_is_there():
        return check(given or usual)
    with standard.given_back():
        return str(click.prompt(question, default=usual, value_proc=_said_again(check), err=True))


def _said_again(check: Callable[[str], str]) -> Callable[[str], str]:
    def read(text: str) -> str:
        try:
            return check(text)
        except UsageError as error:
            raise click.UsageError(error.message) from None

    return read


def _next_steps(name: str, folder: Path, auth: str) -> list[str]:
    place = quote(str(folder))
    account = [f"  kosmolua accounts example {name} --plugin {place}"] if auth != "none" else []
    return [
        "Next:",
        f"  kosmolua run --simulate --plugin {place} -e 'print(app.integrations.{name}.list_items())'",
        f"  python -m pytest {place}" + ("" if find_spec("pytest") else "  # after: pip install pytest"),
        f"  kosmolua integrations check {place}",
        *account,
    ]
