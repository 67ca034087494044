"""The times of a deployed model's layers, taken on the board apart from every other measurement."""

from contract.api import LayerProfile, ProfileRequest
from host.benching import find_model
from host.client import AgentClient
from host.progress import Progress, on_job


def profile_layers(client: AgentClient, model: str, runs: int, interrupt: bool, progress: Progress) -> LayerProfile:
    """Over so many runs in a fresh worker, the board held. InputError, BoardError, DoesNotRunError."""
    find_model(client, model)
    request = ProfileRequest(model=model, runs=runs, interrupt=interrupt)
    job = client.finish(lambda: client.profile_layers(request), on_job(client.board, progress))
    assert job.layer_profile is not None
    return job.layer_profile
