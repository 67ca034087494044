"""One model in one process, under the board's own Python (3.6 or newer) with numpy and one runtime.

Self-contained: the agent copies this folder and starts it as `boardfit_worker`; relative imports only.
"""
