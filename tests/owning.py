"""A board whose accelerator one model has at a time, and models that need it: for tests of who has it."""

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import bundles
import pytest
import rogue
from bundles import Bundle
from versions import NEW, OLD, SPEC

from agent.process import Launch
from agent.service import Service
from contract.profile import OneOwner

DEVICE = "sys/class/apex/apex_0"
# The null runtime's options are numbers, and a profile's value is a text: this one is not validated.
FACTS = OneOwner.model_construct(option="no_layers", value=1, device=DEVICE)
PROFILE: dict[str, Any] = {"switching": "stop-first", "shares_memory": True, "one_owner": FACTS}


def needing(source_name: str = OLD, **options: Any) -> Bundle:
    """A model that takes the accelerator; `NEW` answers otherwise than `OLD`."""
    return bundles.null(SPEC, source_name=source_name, no_layers=1, wrong=source_name == NEW, **options)


def without(**options: Any) -> Bundle:
    """One for the CPU of the same board."""
    return bundles.null(SPEC, source_name=OLD, **options)


def as_user(monkeypatch: pytest.MonkeyPatch, user_id: int = 1000) -> None:
    """An agent that is not root's, whoever runs the tests."""
    monkeypatch.setattr(os, "geteuid", lambda: user_id)


def sysfs(root: Path, owned: str, owner: str) -> Path:
    """Who has it, as its driver says."""
    (root / DEVICE).mkdir(parents=True, exist_ok=True)
    (root / DEVICE / "is_device_owned").write_text(f"{owned}\n")
    (root / DEVICE / "device_owner").write_text(f"{owner}\n")
    return root / DEVICE


@asynccontextmanager
async def serving(
    folder: Path, models: Mapping[str, Bundle] | None = None, *, start: Launch | None = None, **profile: Any
) -> AsyncIterator[Service]:
    """An agent on such a board, whose files are under `folder`, with these models; it may have some of before."""
    service = bundles.service(folder, start=start or rogue.obedient(folder), **PROFILE | profile)
    service.activator = replace(service.activator, ownership=replace(service.activator.ownership, root=folder))
    service.start()
    try:
        await service.restored.wait()
        for name, bundle in (models or {}).items():
            await bundles.activate(service, bundle, name)
        yield service
    finally:
        await service.close()
