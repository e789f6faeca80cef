#!/usr/bin/env bash
# Compare real and synthetic rows, or take the result that is there. Inputs come as variables, never as program text.
set -euo pipefail
bin="$RUNNER_TEMP/sterling/bin"
[ -d "$bin" ] || bin="$RUNNER_TEMP/sterling/Scripts"
result="${STERLING_RESULT:-}"

if [ -z "${STERLING_REAL:-}" ] && [ -z "${STERLING_SYNTHETIC:-}" ]; then
  if [ -z "$result" ]; then
    echo "sterling: nothing to judge" >&2
    echo "  To mend: give the action real and synthetic, or result" >&2
    exit 2
  fi
else
  result="${result:-$RUNNER_TEMP/sterling-result.json}"
  words=(compare "$STERLING_REAL" "$STERLING_SYNTHETIC" --json "$result")
  words+=(--policy "${STERLING_POLICY:-default}" --stakes "${STERLING_STAKES:-low}" --seed "${STERLING_SEED:-0}")
  if [ -n "${STERLING_HOLDOUT:-}" ]; then words+=(--holdout "$STERLING_HOLDOUT"); fi
  if [ -n "${STERLING_TARGET:-}" ]; then words+=(--target "$STERLING_TARGET"); fi
  if [ "${STERLING_FAST:-false}" = "true" ]; then words+=(--fast); fi
  while IFS= read -r column; do
    if [ -n "$column" ]; then words+=(--group "$column"); fi
  done <<<"${STERLING_GROUPS:-}"
  while IFS= read -r column; do
    if [ -n "$column" ]; then words+=(--slice "$column"); fi
  done <<<"${STERLING_SLICES:-}"
  # Names of columns and files are strangers' text: the runner shall not take a line of it for a command.
  token="sterling-$RANDOM$RANDOM$RANDOM"
  echo "::stop-commands::$token"
  trap 'echo "::$token::"' EXIT
  "$bin/python" -m sterling "${words[@]}"
fi
printf 'result=%s\n' "$result" >>"$GITHUB_OUTPUT"
