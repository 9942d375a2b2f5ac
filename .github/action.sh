# What action.yml runs. Inputs come as variables, so none is read as code; COMMAND, SCRIPTS and OPTIONS are lists of words.
set -euo pipefail
[ -n "$KOSMOLUA_ACCOUNTS" ] || unset KOSMOLUA_ACCOUNTS
read -ra scripts <<<"$SCRIPTS"
read -ra options <<<"$OPTIONS"
output="$RUNNER_TEMP/kosmolua.txt"
echo "output=$output" >>"$GITHUB_OUTPUT"

if [ -z "${KOSMOLUA:-}" ]; then # else it names a program that is installed
  python -m venv "$RUNNER_TEMP/kosmolua"
  "$RUNNER_TEMP/kosmolua/bin/pip" install -q "${PACKAGE:-$GITHUB_ACTION_PATH}"
  KOSMOLUA="$RUNNER_TEMP/kosmolua/bin/kosmolua"
fi

case "$COMMAND" in
  check) exec "$KOSMOLUA" check --format github "${options[@]}" "${scripts[@]}" ;;
  run) "$KOSMOLUA" run "${options[@]}" "${scripts[@]}" | tee "$output" ;;
  plan)
    status=0
    # What the script prints is not the plan, which stands on standard error with what went wrong.
    "$KOSMOLUA" run --plan "${options[@]}" "${scripts[@]}" 2>"$output" || status=$?
    cat "$output"
    { echo "What \`${scripts[*]}\` would change:"; echo; head -c 60000 "$output" | sed "s/^/    /"; } >"$output.md" # 65,536 is the most
    cat "$output.md" >>"$GITHUB_STEP_SUMMARY"
    if [ -n "$PULL_REQUEST" ]; then
      gh pr comment "$PULL_REQUEST" --repo "$GITHUB_REPOSITORY" --body-file "$output.md"
    fi
    exit $status
    ;;
  *)
    echo "::error::command is '$COMMAND'; it must be check, run or plan. Nothing was run." >&2
    exit 2
    ;;
esac
