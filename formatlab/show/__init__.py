"""Figures, tables and the report of a study.

Nothing is imported here: `formatlab.show.table` is light, `formatlab.show.report` needs matplotlib.
"""
