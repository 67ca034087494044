"""The results database: `BenchRow`s and the raw samples behind them.

store.py       Store: add, list and find rows          schema.py    the tables; row <-> record
database.py    open, transactions, errors              migrations/  from any older schema to this one

Imports SQLAlchemy, so import it where it is needed, not at start.
"""

from host.store.store import Store

__all__ = ["Store"]
