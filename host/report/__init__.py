"""Rows, answers and counters -> what a person or a program reads.

tables.py       rows, models and boards as tables for a terminal or a log
inferences.py   what a model said of files, as tables and JSON      stats.py   what an agent counts, as tables
values.py       one figure as text, or why there is none            layout.py  what tables are made of
flags.py        why a row may not be what the board can do, and what to do about it
records.py      rows as JSON and CSV, by the keys of contract/results.py
accuracy.py     what an evaluation found, as tables and JSON    figures.py  the same as pictures
"""
