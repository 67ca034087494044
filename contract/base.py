"""The base of every contract model."""

from pydantic import BaseModel, ConfigDict


class Contract(BaseModel):
    """Immutable; an unknown key is an error, so that a misspelt option is never silently ignored.

    Numbers are finite: a tolerance or a threshold of NaN would be met by anything.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Reply(BaseModel):
    """Immutable; an unknown key is passed over, so that a newer agent can say more to an older host."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="null")
