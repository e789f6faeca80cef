"""`python -m sterling` is `sterling`."""

from sterling.cli import main

main()
