"""PL/Python with PyTorch, as a careful user would write it: the model is loaded once per session, a batch is one call."""

FUNCTIONS = """
CREATE EXTENSION IF NOT EXISTS plpython3u;
CREATE OR REPLACE FUNCTION torch_row(path text, x real[]) RETURNS real[] LANGUAGE plpython3u AS $$
if path not in GD:
    import torch
    torch.set_num_threads(1)
    GD['torch'], GD[path] = torch, torch.jit.load(path)
with GD['torch'].no_grad():
    return GD[path](GD['torch'].tensor([x])).tolist()[0]
$$;
CREATE OR REPLACE FUNCTION torch_rows(path text, x real[]) RETURNS real[] LANGUAGE plpython3u AS $$
if path not in GD:
    import torch
    torch.set_num_threads(1)
    GD['torch'], GD[path] = torch, torch.jit.load(path)
with GD['torch'].no_grad():
    return GD[path](GD['torch'].tensor(x)).tolist()
$$;
"""


def available(connection):
    return connection.value("SELECT count(*) FROM pg_available_extensions WHERE name = 'plpython3u'") > 0


def create_functions(connection):
    connection.run(FUNCTIONS)
