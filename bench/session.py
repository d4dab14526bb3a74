"""What the benchmarks share: a session of psql, reading Census-Income, and an AUC."""

import csv
import gzip
import json
import os
import pathlib
import subprocess
import sys

import numpy as np

CENSUS = """age class_worker det_ind_code det_occ_code education wage_per_hour hs_college marital_stat major_ind_code major_occ_code race
hisp_origin sex union_member unemp_reason full_or_part_emp capital_gains capital_losses stock_dividends tax_filer_stat region_prev_res
state_prev_res det_hh_fam_stat det_hh_summ instance_weight mig_chg_msa mig_chg_reg mig_move_reg mig_same mig_prev_sunbelt num_emp fam_under_18
country_father country_mother country_self citizenship own_or_self vet_question vet_benefits weeks_worked year income_50k""".split()
CENSUS_NUMBERS = "age wage_per_hour capital_gains capital_losses stock_dividends num_emp weeks_worked".split()


class Session:
    """One psql that answers one query after the other, and the process that serves it."""

    def __init__(self):
        self.psql = subprocess.Popen(["psql", "-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1"], stdin=subprocess.PIPE,
                                     stdout=subprocess.PIPE, text=True)
        self.run("SET client_min_messages = warning; SET maintenance_work_mem = '1GB'; CREATE EXTENSION IF NOT EXISTS mtl_rank;")
        self.pid = int(self.ask("SELECT pg_backend_pid()"))

    def run(self, sql):
        self.psql.stdin.write(sql + "\n")

    def ask(self, query):
        """The first line of the answer, which there must be."""
        self.run(query + ";")
        self.psql.stdin.flush()
        answer = self.psql.stdout.readline()
        if answer == "":
            sys.exit("psql ended")
        return answer.strip()

    def copy(self, table, rows):
        """Rows are sequences of texts without tabs and backslashes."""
        self.run(f"COPY {table} FROM stdin;")
        for row in rows:
            self.run("\t".join(row))
        self.run("\\.")

    def train(self, spec, query, options):
        """The provenance of a model, which is forgotten."""
        return json.loads(self.ask("SELECT mtl_describe(mtl_train(%s, %s, %s)) #> '{contract,provenance}'" %
                                   (literal(spec), literal(query), literal(options))))

    def close(self):
        self.psql.stdin.close()
        self.psql.wait()

    def cpu_seconds(self):
        fields = pathlib.Path(f"/proc/{self.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def literal(value):
    text = value if isinstance(value, str) else json.dumps(value)
    return "'" + " ".join(text.split("\n")).replace("'", "''") + "'"


def read_census(path):
    """Columns of texts, by name."""
    with gzip.open(path, "rt") as file:
        rows = [[value.strip() for value in row] for row in csv.reader(file)]
    return {name: [row[i] for row in rows] for i, name in enumerate(CENSUS)}


def census_labels(data):
    return np.stack([np.array(data["income_50k"]) == "50000+.", np.array(data["marital_stat"]) == "Never married"], 1).astype(np.float32)


def auc(label, score):
    order = np.argsort(score, kind="stable")
    values, inverse, counts = np.unique(score[order], return_inverse=True, return_counts=True)
    ranks = (np.cumsum(counts) - (counts - 1) / 2)[inverse]
    positive = label[order] == 1
    n = positive.sum()
    return (ranks[positive].sum() - n * (n + 1) / 2) / (n * (len(label) - n))


def mean_and_error(values):
    """Mean and standard error, as text."""
    values = np.asarray(values)
    return f"{values.mean():.4f} +- {values.std(ddof=1) / len(values) ** 0.5:.4f}"
