"""Two benches side by side: how many times as fast, as small or as frugal the second is, and whether that can be told.

runs.py       the rows that belong to a run       comparison.py   what they say beside each other
anew.py       both measured again, in turn
"""
