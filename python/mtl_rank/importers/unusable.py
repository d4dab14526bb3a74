"""Checkpoints that are known to lack weights, or to be of a model that none can express, refused by name."""

from __future__ import annotations

from ..checkpoints import Checkpoint, CheckpointError


def refuse_unusable(checkpoint: Checkpoint) -> None:
    """Error for a checkpoint that cannot be complete, or cannot be expressed."""
    _refuse_plain_list_gates(checkpoint)
    _refuse_metaheac(checkpoint)


def _refuse_plain_list_gates(checkpoint: Checkpoint) -> None:
    """busesese/MultiTaskModel: MMOE has its gates in a Python list, which torch.nn.Module does not register."""
    if not ({"experts", "experts_bias"} <= set(checkpoint)) or len(checkpoint.shape("experts")) != 3:
        return
    tasks = max(1, len(checkpoint.matching(r"task_\d+_dnn\.task_last_layer\.weight")))
    lost = [f"gates.{t}" for t in range(tasks)] + [f"gates_bias.{t}" for t in range(tasks)]
    missing = [name for name in lost if name not in checkpoint]
    if missing:
        raise CheckpointError(
            f"{checkpoint.source}: MMOE of MultiTaskModel keeps its gates in a plain list, so they are not in its state "
            f"dict: {', '.join(missing)} are missing. Make them a torch.nn.ParameterList and train again"
        )


def _refuse_metaheac(checkpoint: Checkpoint) -> None:
    """Multitask-Recommendation-Library: critics instead of towers, whose sigmoids a second gate mixes."""
    if checkpoint.has_prefix("model.critic_gate.") and "model.task_embedding.weight" in checkpoint:
        raise CheckpointError(
            f"{checkpoint.source}: MetaHeac of Multitask-Recommendation-Library mixes the scores of critics by a gate over an "
            f"embedding of the task, which no architecture here does; its other models can be imported"
        )
