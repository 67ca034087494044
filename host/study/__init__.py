"""A study: rates x trials x boards -> rows, resumable at any point.

spec.py      what is asked, and where it is kept    records.py   what a finished step has left in the study's folder
opening.py   it is begun, or refused                plan.py      its steps, as tasks of host/engine
running.py   all of it that is not done             timing.py    what is under way, and how long steps take
teach.py     a step's process: a model is taught    measure.py   another's: it is judged and benched on a board
judging.py   what a model makes of the test images  drops.py     what was lost of the control's AUC
results.py   a study as it is read                  status.py    how far it is
growing.py   what it is asked for later
"""
