"""Training: rows per second of mtl_train and of PyTorch, which take turns."""

import argparse

import training


def run(options, peers):
    rounds, epochs = (1, 1) if options.quick else (3, 4)
    return training.compare(argparse.Namespace(rounds=rounds, epochs=epochs, batch=1024))
