"""A study: rates x trials x boards -> rows, resumable at any point.

spec.py      what is asked, and where it is kept    records.py   what a finished step has left in the study's folder
results.py   a study as it is read: rows and scores
"""
