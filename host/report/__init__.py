"""Rows -> what a person or a program reads.

tables.py    tables for a terminal or a log         values.py    one figure as text, or why there is none
layout.py    what those are made of                 records.py   JSON and CSV, by the keys of contract/results.py
"""
