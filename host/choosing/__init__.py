"""Which compression rate to take on which board, under the user's own conditions. Pure: a study in, a Choice out.

keys.py          what may be asked for, in which unit, and which way is better
conditions.py    'auc_drop<=0.01', and whether a figure with its interval meets it
candidates.py    the rows of a study by board and rate: those that count, and why others do not
environments.py  rows that are not to be compared
estimates.py     a candidate's figure with its interval over images and trials
ratios.py        how many times as fast, with an interval
pareto.py        who is beaten in nothing       knee.py   where more latency stops to buy AUC
choice.py        the answer                     choose.py the way to it, top to bottom
"""
