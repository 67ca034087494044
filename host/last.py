"""What was deployed last, and where: the defaults of --board and --model."""

import json
from pathlib import Path

from host import disk
from host.errors import InputError


class Last:
    """last.json in the state folder; a broken one is as good as none."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def board(self) -> str:
        """InputError before the first deploy."""
        board = self._read().get("board")
        if not isinstance(board, str):
            raise InputError(
                "no board is named, and nothing was deployed from here yet",
                "say --board NAME, e.g. --board desktop for this machine; `host boards` lists them",
            )
        return board

    def model(self, board: str) -> str:
        """InputError before the first deploy to this board."""
        model = self._models().get(board)
        if not isinstance(model, str):
            raise InputError(
                f"no model is named, and nothing was deployed to {board!r} from here",
                f"say --model NAME; `host models --board {board}` lists them",
            )
        return model

    def remember(self, board: str, model: str) -> None:
        """OSError where it cannot be written down."""
        self._write(board, {**self._models(), board: model})

    def forget(self, board: str, model: str) -> None:
        """Where it was the last one of its board: it is gone. OSError."""
        models = self._models()
        if models.get(board) == model:
            del models[board]
            self._write(self._read().get("board"), models)

    def _models(self) -> dict[str, object]:
        models = self._read().get("models")
        return models if isinstance(models, dict) else {}

    def _write(self, board: object, models: dict[str, object]) -> None:
        disk.replace(self._path, json.dumps({"board": board, "models": models}).encode())

    def _read(self) -> dict[str, object]:
        try:
            content = json.loads(self._path.read_bytes())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}
