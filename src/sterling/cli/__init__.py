"""Layer 9: the command line, the only room that writes to the terminal."""

from __future__ import annotations

import sys
from types import TracebackType


def main() -> None:
    """Entry point of `sterling`; exits with 0, 1 (gate alone), 2 (input) or 3 (internal)."""
    from sterling.cli.app import app
    from sterling.kernel.errors import SterlingError

    sys.excepthook = _internal
    try:
        app()
    except SterlingError as err:
        print(_paragraph(f"sterling: {err}"), file=sys.stderr)
        sys.exit(err.exit_code)
    except KeyboardInterrupt:
        print("sterling: stopped; what was finished is kept", file=sys.stderr)
        sys.exit(130)
    except BrokenPipeError:
        sys.stderr.close()  # the reader of our output went away; nothing to say to nobody
        sys.exit(0)
    except MemoryError:
        print("sterling: out of memory\n  To mend: use --fast, or fewer rows", file=sys.stderr)
        sys.exit(3)


def _internal(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    """A bug of ours: the trace for whoever reports it, and exit code 3; 1 is the gate's own word."""
    import os
    import traceback

    traceback.print_exception(kind, error, trace)
    print("sterling: internal error; please report it with the trace above", file=sys.stderr, flush=True)
    os._exit(3)


def _paragraph(text: str) -> str:
    """Lines no longer than the terminal is wide; whole where nobody looks, so that logs can be searched."""
    if not sys.stderr.isatty():
        return text
    import shutil
    import textwrap

    width = shutil.get_terminal_size().columns - 1
    return "\n".join(textwrap.fill(line, width, subsequent_indent="  ") for line in text.splitlines())
