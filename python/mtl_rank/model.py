"""A model: a contract and its tensors."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterator, List, Mapping, Optional, Sequence, Tuple, Union

import numpy as np

from . import container
from .architectures import expect_network
from .contract import FORMAT
from .errors import ModelError
from .expected import WEIGHT_DTYPES, ExpectedTensors, Shape
from .features import Feature, expect_features, lookup_problem, read_features
from .reader import MAX_INT, Reader
from .tasks import check_rank, output_names, read_example_count, read_tasks
from .vocabulary import Entries, vocabulary_entries, vocabulary_problem, vocabulary_tensors

ROWS = "examples.rows"
SCORES = "examples.scores"


def _plain(value: Any) -> Any:
    """The value as JSON has it: numpy's numbers and arrays become numbers and lists."""

    def convert(item: Any) -> Any:
        if isinstance(item, (np.generic, np.ndarray)):
            return item.tolist()
        raise ModelError(f"{type(item).__name__} is not JSON")

    try:
        return json.loads(json.dumps(value, default=convert, allow_nan=False))
    except ValueError as error:
        raise ModelError(f"not JSON: {error}") from None


class Model:
    """A contract (a dict, see make_contract()) and its tensors (name -> array; anything that numpy takes).

    The contract is checked at once, the tensors by check(), save() and load(). Both attributes may be changed: what is
    checked is what is there then.
    """

    def __init__(self, contract: Mapping[str, Any], tensors: Optional[Mapping[str, Any]] = None):
        self.contract: Dict[str, Any] = _plain(contract)
        self.tensors: Dict[str, Any] = dict(tensors or {})
        self._read_contract({})

    def __repr__(self) -> str:
        return f"<mtl_rank.Model {self.contract['architecture']['type']}, outputs {', '.join(self.outputs)}>"

    # ------------------------------------------------------------ files

    @classmethod
    def load(cls, path: container.Path) -> "Model":
        """Reads and checks a model file."""
        return cls._checked(*container.read(path))

    @classmethod
    def from_bytes(cls, data: bytes) -> "Model":
        """The same from bytes, such as those of `model::bytea`."""
        return cls._checked(*container.decode(data))

    def save(self, path: container.Path) -> None:
        """Checks the model and writes it."""
        self.check()
        container.write(path, self.contract, self.tensors)

    def to_bytes(self) -> bytes:
        self.check()
        return container.encode(self.contract, self.tensors)

    @classmethod
    def _checked(cls, contract: Dict[str, Any], tensors: Dict[str, np.ndarray]) -> "Model":
        model = cls(contract, tensors)
        model.check()
        return model

    # ------------------------------------------------------------ what it is

    @property
    def precision(self) -> str:
        """"float32", "bf16" or "int8"."""
        return Reader(self.contract, "").choice("precision", tuple(WEIGHT_DTYPES), "float32")

    @property
    def outputs(self) -> List[str]:
        """Names of the scores, in the order of mtl_score()'s array."""
        return output_names(read_tasks(Reader(self.contract, "")))

    def expected_tensors(self) -> Dict[str, Shape]:
        """Name -> shape of every tensor that the contract calls for, None where any size will do.

        Sizes that the contract leaves open, such as that of an embedding table, are taken from the tensors that are
        there already.
        """
        expected = self._read_contract(self._arrays())[0]
        return {name: tensor.shapes[0] for name, tensor in expected.tensors.items()}

    def problems(self) -> List[str]:
        """Everything that the server would refuse about the tensors, in words; empty for a good model."""
        arrays, problems = {}, []
        for name, value in self.tensors.items():
            try:
                arrays[name] = container.as_tensor(name, value)
                container.check_tensor(name, arrays[name])
            except ModelError as error:
                problems.append(str(error))
        if problems:
            return problems

        expected, features, count = self._read_contract(arrays)
        problems = list(expected.problems(arrays))
        # What follows looks into the tensors, so they must have their shapes.
        return problems or list(self._content_problems(features, count, arrays))

    def check(self) -> None:
        """Error with all problems, if there are any."""
        problems = self.problems()
        if problems:
            more = f"\n... and {len(problems) - 20} more" if len(problems) > 20 else ""
            raise ModelError("\n".join(problems[:20]) + more)

    # ------------------------------------------------------------ vocabularies

    def set_vocabulary(self, name: str, entries: Entries) -> None:
        """Entries are all strings or all integers; entry i leads to row offset + i of the embedding table."""
        for part in ("ids", "bytes", "offsets"):
            self.tensors.pop(f"vocabulary.{name}.{part}", None)
        self.tensors.update(vocabulary_tensors(name, entries))

    def vocabulary(self, name: str) -> Union[List[str], List[int]]:
        return vocabulary_entries(name, self._arrays())

    # ------------------------------------------------------------ examples

    def attach_examples(self, rows: Sequence[Mapping[str, Any]], scores: Any, tolerance: float = 1e-6) -> None:
        """Stores rows and the scores that the training library gave them, which the server replays.

        rows: one dict per row, as for the jsonb form. scores: array of (rows, outputs). A score may differ by at most
        tolerance * max(1, |score|).
        """
        rows = [_plain(row) for row in rows]
        array = container.as_tensor(SCORES, np.asarray(scores, "f8"))
        outputs = self.outputs
        if array.shape != (len(rows), len(outputs)):
            raise ModelError(f"scores have shape {list(array.shape)}, expected "
                             f"[{len(rows)}, {len(outputs)}]: {len(rows)} rows and the outputs {', '.join(outputs)}")
        examples = _plain({"count": len(rows), "tolerance": tolerance})
        read_example_count(Reader({"examples": examples}, ""))
        container.check_tensor(SCORES, array)
        self._check_example_rows(rows, read_features(Reader(self.contract, "")))

        self.contract["examples"] = examples
        self.tensors[ROWS] = np.frombuffer(json.dumps(rows).encode(), "u1")
        self.tensors[SCORES] = array

    def examples(self) -> Tuple[List[Dict[str, Any]], np.ndarray]:
        """Rows and scores; empty if there are none."""
        if not read_example_count(Reader(self.contract, "")):
            return [], np.zeros((0, len(self.outputs)), "f4")
        return _example_rows(self._arrays()), self._arrays()[SCORES]

    @staticmethod
    def _check_example_rows(rows: List[Any], features: List[Feature]) -> None:
        for i, row in enumerate(rows):
            if not isinstance(row, dict):
                raise ModelError(f"example {i} is not an object")
            missing = [c for f in features if f.required for c in f.columns if row.get(c) is None]
            if missing:
                raise ModelError(f"example {i} lacks {', '.join(missing)}")

    # ------------------------------------------------------------ checks

    def _arrays(self) -> Dict[str, np.ndarray]:
        return {name: container.as_tensor(name, value) for name, value in self.tensors.items()}

    def _read_contract(self, found: Dict[str, np.ndarray]) -> Tuple[ExpectedTensors, List[Feature], int]:
        """Checks the contract; returns the tensors that it calls for, the features and the number of examples."""
        reader = Reader(self.contract, "")
        version = reader.integer("format", 1, MAX_INT)
        if version > FORMAT:
            raise ModelError(f"the model has format {version}, this module knows formats up to {FORMAT}")
        expected = ExpectedTensors(reader.choice("precision", tuple(WEIGHT_DTYPES), "float32"))
        features = read_features(reader)
        tasks = read_tasks(reader)
        outputs = output_names(tasks)
        check_rank(reader, outputs)
        count = read_example_count(reader)
        architecture = reader.object("architecture")
        assert architecture is not None
        reader.object("provenance", None)
        reader.close()

        vectors = expect_features(features, expected, found)
        expect_network(architecture, tasks, expected, vectors)
        if count:
            expected.add(ROWS, (None,), dtype="U8")
            expected.add(SCORES, (count, len(outputs)))
        return expected, features, count

    def _content_problems(self, features: List[Feature], count: int, arrays: Dict[str, np.ndarray]) -> Iterator[str]:
        vocabularies = {f.lookup.vocabulary for f in features if f.lookup is not None and f.lookup.vocabulary is not None}
        bad = [problem for v in sorted(vocabularies) for problem in [vocabulary_problem(v, arrays)] if problem]
        yield from bad
        if bad:
            return
        for feature in features:
            problem = lookup_problem(feature, arrays)
            if problem:
                yield problem
        if not count:
            return
        try:
            rows = _example_rows(arrays)
            if len(rows) != count:
                raise ModelError(f'tensor "{ROWS}" holds {len(rows)} rows, "examples.count" is {count}')
            self._check_example_rows(rows, features)
        except ModelError as error:
            yield str(error)


def _example_rows(arrays: Dict[str, np.ndarray]) -> List[Any]:
    try:
        rows = json.loads(arrays[ROWS].tobytes().decode())
    except ValueError as error:
        raise ModelError(f'tensor "{ROWS}" is not JSON: {error}') from None
    if not isinstance(rows, list):
        raise ModelError(f'tensor "{ROWS}" is not a JSON array')
    return rows
