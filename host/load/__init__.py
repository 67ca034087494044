"""Load as a conveyor brings it: parts come at their rate, whether or not the board is done with the one before.

Such a load is open. One that sends a request when the last was answered is closed: it waits with a slow board, and so
leaves out just the requests that would have had to wait ("coordinated omission": Gil Tene's talk "How NOT to measure
latency"; his wrk2 counts as we do, from the moment at which a request was due).

conveyor.py  what the user asks for       sending.py  the requests, each at its moment
step.py      what came of them            search.py   the highest rate, pure       finding.py  it, on a board
"""
