"""What was deployed last, and where: the defaults of --board and --model."""

import json
from pathlib import Path

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
                "no board is named, and nothing was deployed yet", "say --board NAME; `host boards` lists them"
            )
        return board

    def model(self, board: str) -> str:
        """InputError before the first deploy to this board."""
        models = self._read().get("models")
        model = models.get(board) if isinstance(models, dict) else None
        if not isinstance(model, str):
            raise InputError(
                f"no model is named, and nothing was deployed to {board!r} from here",
                f"say --model NAME; `host models --board {board}` lists them",
            )
        return model

    def remember(self, board: str, model: str) -> None:
        content = self._read()
        models = content.get("models")
        models = {**models, board: model} if isinstance(models, dict) else {board: model}
        self._path.parent.mkdir(parents=True, exist_ok=True)
        unfinished = self._path.with_name(f".{self._path.name}")
        unfinished.write_text(json.dumps({"board": board, "models": models}))
        unfinished.replace(self._path)

    def _read(self) -> dict[str, object]:
        try:
            content = json.loads(self._path.read_text())
        except (OSError, ValueError):
            return {}
        return content if isinstance(content, dict) else {}
