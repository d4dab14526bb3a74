"""How far the AUC moves when a model's weights are rounded to bf16 and int8: an MMoE trained on one half of the Census-Income data that
demo/ has, measured on the other half."""

import training
from parts.query import PRECISIONS
from session import Session, census_labels, literal, read_census

TASKS = ["income", "marital"]
EPOCHS, BATCH = 5, 256


def aucs(session, model):
    return {task: float(session.ask(f"SELECT mtl_auc({task}::boolean, mtl_score('{model}', c, '{task}')) FROM bench_census c WHERE i % 2 = 1"))
            for task in TASKS}


def run(options, peers):
    session = Session()
    data = read_census(training.DATA)
    training.load_rows(session, data, census_labels(data))
    arguments = (literal(training.spec()), literal(training.QUERY), literal(training.options(EPOCHS, BATCH)))
    session.ask("SELECT mtl_register('census', mtl_train(%s, %s, %s))" % arguments)
    exact = aucs(session, "census")
    result = []
    for precision in PRECISIONS:
        session.ask(f"SELECT mtl_register('census_{precision}', mtl_quantize('census', '{precision}'))")
        rounded = aucs(session, f"census_{precision}")
        result.append({"precision": precision, "AUC of float32": exact, "changes of AUC": {t: rounded[t] - exact[t] for t in TASKS}})
    session.run("DROP TABLE bench_census;")
    session.close()
    return result
