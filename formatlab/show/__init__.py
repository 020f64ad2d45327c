"""Figures, tables and the report of a study.

Nothing is imported here: figures and the report need matplotlib, tables do not.
"""
