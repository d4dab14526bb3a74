"""The one exception that this module raises about a model."""


class ModelError(ValueError):
    """A contract, a tensor or a file is not what docs/model-format.md asks for."""
