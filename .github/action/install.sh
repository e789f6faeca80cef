#!/usr/bin/env bash
# Sterling from this action's own checkout, in an environment of its own: the job's Python stays as it is.
set -euo pipefail
home="$RUNNER_TEMP/sterling"
[ -d "$home" ] || "${STERLING_PYTHON:-python3}" -m venv "$home"
bin="$home/bin"
[ -d "$bin" ] || bin="$home/Scripts" # Windows
"$bin/python" -m pip install --quiet --disable-pip-version-check "$GITHUB_ACTION_PATH"
"$bin/python" -c "import sterling; print('sterling', sterling.__version__)"
