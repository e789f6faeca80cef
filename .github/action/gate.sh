#!/usr/bin/env bash
# Ask the gate; the paragraph goes to the log and, escaped, to the job summary. Exit code: the gate's.
set -uo pipefail
bin="$RUNNER_TEMP/sterling/bin"
[ -d "$bin" ] || bin="$RUNNER_TEMP/sterling/Scripts"

words=(gate "$STERLING_RESULT" --policy "${STERLING_POLICY:-default}")
if [ -n "${STERLING_BASELINE:-}" ]; then words+=(--baseline "$STERLING_BASELINE"); fi
if [ -n "${STERLING_JUNIT:-}" ]; then words+=(--junit "$STERLING_JUNIT"); fi
said="$RUNNER_TEMP/sterling-gate.txt"
"$bin/python" -m sterling "${words[@]}" >"$said" 2>&1
code=$?

token="sterling-$RANDOM$RANDOM$RANDOM"
echo "::stop-commands::$token"
cat "$said"
echo "::$token::"

"$bin/python" - "$said" "$STERLING_RESULT" "$code" <<'PYTHON'
import html, json, os, sys
from pathlib import Path

said, result, code = Path(sys.argv[1]).read_text(encoding="utf-8"), Path(sys.argv[2]), int(sys.argv[3])
verdict = json.loads(result.read_text(encoding="utf-8"))["verdict"] if code in (0, 1) else ""
lead = {0: "may ship", 1: "may not ship"}.get(code, "could not be judged")
# One line without a blank one between the tags: Markdown in a stranger's text stays text.
body = html.escape(" ".join(said.split()))
with open(os.environ["GITHUB_STEP_SUMMARY"], "a", encoding="utf-8") as summary:
    summary.write(f"### Synthetic data: {lead}\n\n<p>{body}</p>\n\n")
with open(os.environ["GITHUB_OUTPUT"], "a", encoding="utf-8") as outputs:
    outputs.write(f"passed={'true' if code == 0 else 'false'}\nverdict={verdict}\n")
PYTHON
exit "$code"
