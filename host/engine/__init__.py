"""A folder's tasks, each a process of its own: here, or on a Ray cluster; what is done is never done again.

    with lock.held(folder):                           one run at a time in a folder
        engine = Local(processes)                     or, around it: with ray.connected(address) as engine
        failures = running.run(folder, tasks, engine, progress, on_done, on_failed)

task.py      Task: what is run, what it needs, reads and writes, and where at most one runs at a time; Failure
schedule.py  pure: which task is to start now
running.py   run(): until every task is done or has failed; an interrupt ends the processes and keeps what is done
engine.py    what an engine is: it starts a task, and the Work it gives back tells when and how that ended
local.py     processes on this machine
child.py     around each of them, wherever it runs: its lock, its death with its parent, the reason where it fails
ray.py       on a Ray cluster that is there already; on_node.py is what it runs there
lock.py      a run's hold on its folder

A task's module is run as `python -P -m MODULE FOLDER NAME ARGUMENTS`, by itself as well as by an engine, one thread
each. It writes its files whole (disk.replace), the last of `writes` at the very end: that one says that it is done. It
raises what goes wrong: a HostError's message, hint and code are the Failure's, anything else is a bug whose traceback
is in FOLDER/NAME.log. SIGTERM comes as interrupts.Terminated, and 10 s later nobody asks any more. It takes no lock:
child.py holds FOLDER/.NAME.lock around it, and asks before whether it is done.
"""
