"""People of Census-Income (KDD), from the demo's file, as training libraries want them: ids, numbers, labels."""

from __future__ import annotations

import csv
import gzip
import os
from typing import Any, Dict, List, Sequence

import numpy as np

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "demo", "census-income-test.csv.gz")

COLUMNS = """age class_worker det_ind_code det_occ_code education wage_per_hour hs_college marital_stat major_ind_code
major_occ_code race hisp_origin sex union_member unemp_reason full_or_part_emp capital_gains capital_losses
stock_dividends tax_filer_stat region_prev_res state_prev_res det_hh_fam_stat det_hh_summ instance_weight mig_chg_msa
mig_chg_reg mig_move_reg mig_same mig_prev_sunbelt num_emp fam_under_18 country_father country_mother country_self
citizenship own_or_self vet_question vet_benefits weeks_worked year income_50k""".split()

NUMBERS = {"age", "wage_per_hour", "capital_gains", "capital_losses", "stock_dividends", "num_emp", "weeks_worked"}

COUNTRIES = ("country_father", "country_mother", "country_self")
WORK = ("major_ind_code", "major_occ_code", "class_worker")


class People:
    """The first `count` people of the file. Ids of a column start at 1 in the order of its sorted values; 0 is padding."""

    def __init__(self, count: int = 4096):
        with gzip.open(FILE, "rt", newline="") as file:
            rows = [row for _, row in zip(range(count), csv.reader(file))]
        self.columns: Dict[str, List[Any]] = {
            column: [float(v) if column in NUMBERS else v.strip() for v in values]
            for column, values in zip(COLUMNS, zip(*rows))
        }
        self.count = len(rows)

    def vocabulary(self, *columns: str) -> List[str]:
        """The distinct values of these columns together; "?" is no value."""
        return sorted({v for column in columns for v in self.columns[column]} - {"?"})

    def ids(self, column: str, vocabulary: Sequence[str]) -> np.ndarray:
        """1 + the position in the vocabulary, 0 for what is not in it."""
        positions = {v: i + 1 for i, v in enumerate(vocabulary)}
        return np.array([positions.get(v, 0) for v in self.columns[column]], "i8")

    def sequence(self, columns: Sequence[str], vocabulary: Sequence[str]) -> np.ndarray:
        """Ids of several columns as a padded sequence, (count, columns)."""
        return np.stack([self.ids(column, vocabulary) for column in columns], axis=1)

    def numbers(self, column: str) -> np.ndarray:
        return np.array(self.columns[column], "f8")

    def chain(self) -> np.ndarray:
        """(count, 2), for models of a click and a conversion after it: never married; that, and works."""
        single, works = self.labels()[:, 1], self.numbers("weeks_worked") > 0
        return np.stack([single, single * works], axis=1).astype("f4")

    def labels(self) -> np.ndarray:
        """(count, 2): earns above $50,000; never married."""
        return np.stack([
            np.array([v == "50000+." for v in self.columns["income_50k"]]),
            np.array([v == "Never married" for v in self.columns["marital_stat"]]),
        ], axis=1).astype("f4")
