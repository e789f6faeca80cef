"""Layer 7: a result as one self-contained HTML file that a manager and an engineer can read."""

from sterling.report.page import render as render
