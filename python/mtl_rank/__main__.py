"""The command line: python3 -m mtl_rank export | inspect."""

from __future__ import annotations

import argparse
import json
import sys
from typing import Any, Dict, List, Optional

from .checkpoints import read_checkpoint
from .errors import ModelError
from .examples_file import read_examples
from .importers.catalog import LIBRARIES, attach, import_checkpoint, recognise
from .importers.configuration import COMMON_OPTIONS, COMMON_QUESTIONS


def _read_json(path: str) -> Any:
    with open(path, encoding="utf-8") as file:
        try:
            return json.load(file)
        except ValueError as error:
            raise ModelError(f"{path} is not JSON: {error}") from None


def _export(arguments: argparse.Namespace) -> None:
    if arguments.examples is None and not arguments.without_examples:
        raise ModelError("give rows and the library's scores for them with --examples, so that the server can prove that it "
                         "computes the same; or say --without-examples")
    examples = [] if arguments.examples is None else read_examples(arguments.examples)
    imported = import_checkpoint(read_checkpoint(arguments.checkpoint), _read_json(arguments.config), arguments.library)
    model = imported.model
    if examples:
        attach(model, examples, imported.tolerance)
    model.save(arguments.out)

    print(f"{arguments.out}: {model.contract['architecture']['type']} from {imported.library.title}, "
          f"outputs {', '.join(model.outputs)}")
    print(f"{len(imported.used)} tensors used, {len(examples)} examples")
    reasons: Dict[str, List[str]] = {}
    for name, why in imported.ignored.items():
        reasons.setdefault(why, []).append(name)
    for why, names in reasons.items():
        print(f"{len(names)} tensors left out, {why}: {', '.join(names[:3])}{', ...' if len(names) > 3 else ''}")
    if not examples:
        print("no examples: nothing proves that the scores are the library's")


def _inspect(arguments: argparse.Namespace) -> None:
    checkpoint = read_checkpoint(arguments.checkpoint)
    for name in checkpoint:
        array = checkpoint.tensors[name]
        print(f"{name}  {array.dtype}  {list(array.shape)}")
    library = recognise(checkpoint)
    print(f"\n{len(checkpoint)} tensors, from {library.title}. The configuration must say")
    for key, meaning in {**COMMON_QUESTIONS, **library.questions}.items():
        print(f'  "{key}": {meaning}')
    print("and may say")
    for key, meaning in {**COMMON_OPTIONS, **library.options}.items():
        print(f'  "{key}": {meaning}')


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python3 -m mtl_rank", description="Model files from the checkpoints of training libraries.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    export = commands.add_parser("export", help="write a model file from a checkpoint")
    export.add_argument("checkpoint", metavar="CHECKPOINT", help="state dict, .pdparams, .h5, .safetensors or .npz")
    export.add_argument("--config", required=True, metavar="CONFIG", help="JSON: features, tasks, and what shapes cannot tell")
    export.add_argument("--examples", metavar="ROWS", help="JSON lines: rows, and the library's scores for them")
    export.add_argument("--without-examples", action="store_true", help="write a file that proves nothing")
    export.add_argument("--out", required=True, metavar="FILE", help="the model file, .safetensors")
    export.add_argument("--library", choices=[library.name for library in LIBRARIES],
                        help="the training library, if it should not be recognised")
    export.set_defaults(run=_export)

    inspect = commands.add_parser("inspect", help="list a checkpoint's tensors, and what an export needs to be told")
    inspect.add_argument("checkpoint", metavar="CHECKPOINT")
    inspect.set_defaults(run=_inspect)
    return parser


def main(arguments: Optional[List[str]] = None) -> int:
    parsed = _parser().parse_args(arguments)
    try:
        parsed.run(parsed)
    except ModelError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except OSError as error:
        print(f"error: {error.filename}: {error.strerror}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
