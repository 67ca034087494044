"""The agent over HTTP: `simple` (/infer, /stats, /health), `management` (/v1), `errors`, `guard` (who may)."""
