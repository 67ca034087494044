"""EngineInspector: what an engine says of its layers (pyCore.cpp)."""

import json

from ._api import Behaviour


class EngineInspector(Behaviour):
    """Names alone at ProfilingVerbosity.LAYER_NAMES_ONLY, nothing at NONE (NvInferRuntime.h, IEngineInspector)."""

    _STORED = {"execution_context": None}

    def _start(self, engine):
        self._engine = engine

    def get_layer_information(self, layer_index, format):
        shown = self._layers()[layer_index] if 0 <= layer_index < self._engine.num_layers else {}
        return self._text(shown, format)

    def get_engine_information(self, format):
        tensors = [it["name"] for it in self._engine._tensors]
        key = "I/O Tensors" if self._api.since("11") else "Bindings"  # docs, 11: the key's name changed
        return self._text({"Layers": self._layers(), key: tensors}, format)

    def _layers(self):
        layers = self._engine._about["layers"]
        verbosity = self._engine.profiling_verbosity
        if verbosity == self._api.enum("ProfilingVerbosity.NONE"):
            return []
        if verbosity == self._api.enum("ProfilingVerbosity.DETAILED"):
            return [{"Name": it["name"], "LayerType": it["type"], "Outputs": it["outputs"]} for it in layers]
        return [it["name"] for it in layers]

    def _text(self, shown, format):
        is_json = format == self._api.enum("LayerInformationFormat.JSON")
        return json.dumps(shown, indent=2) if is_json else str(shown)
