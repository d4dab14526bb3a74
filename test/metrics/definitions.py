"""The metrics as their definitions have them, in numpy: slow, plain, and not how the server computes them."""

import fractions

import numpy as np


def auc(labels, scores):
    """The share of pairs of a positive and a negative row that the positive one wins, a tie being half; exact."""
    positive = np.sort(scores[labels == 1])
    negative = np.sort(scores[labels == 0])
    if len(positive) == 0 or len(negative) == 0:
        return None
    below = np.searchsorted(negative, positive, side="left")
    up_to = np.searchsorted(negative, positive, side="right")
    twice = sum(int(b) + int(u) for b, u in zip(below, up_to))
    return float(fractions.Fraction(twice, 2 * len(positive) * len(negative)))


def by_group(groups):
    """The rows of each group."""
    order = np.argsort(groups, kind="stable")
    starts = np.flatnonzero(np.r_[True, groups[order][1:] != groups[order][:-1]])
    return np.split(order, starts[1:])


def gauc(labels, scores, groups, weighting):
    total = weights = 0
    for rows in by_group(groups):
        area = auc(labels[rows], scores[rows])
        if area is not None:
            weight = len(rows) if weighting == "impressions" else int(np.sum(labels[rows]))
            total += weight * area
            weights += weight
    return total / weights if weights else None


def logloss(labels, scores, epsilon, weights=None):
    scores = np.clip(scores, epsilon, 1 - epsilon)
    losses = -np.where(labels == 1, np.log(scores), np.log(1 - scores))
    return float(np.average(losses, weights=weights))


def group_ndcg(labels, scores, k):
    discounts = 1 / np.log2(np.arange(len(labels)) + 2)
    if k is not None:
        discounts[k:] = 0
    best = np.sort(labels)[::-1] @ discounts
    if best == 0:
        return 0.0
    gain = 0.0
    order = np.argsort(-scores, kind="stable")
    values = scores[order]
    start = 0
    while start < len(values):
        end = start + int(np.searchsorted(-values[start:], -values[start], side="right"))
        gain += labels[order[start:end]].mean() * discounts[start:end].sum()
        start = end
    return gain / best


def ndcg(labels, scores, groups, k):
    return float(np.mean([group_ndcg(labels[rows], scores[rows], k) for rows in by_group(groups)]))


def calibration(labels, scores, bins):
    """Ratio, expected calibration error, and per bin its rows, mean label and mean score."""
    upper = np.arange(1, bins + 1) / bins
    bin_of = np.searchsorted(upper, scores, side="left")
    report = []
    error = 0.0
    for b in range(bins):
        inside = bin_of == b
        rows = int(np.sum(inside))
        if rows:
            observed, predicted = float(np.mean(labels[inside])), float(np.mean(scores[inside]))
            error += rows / len(labels) * abs(observed - predicted)
            report.append((rows, observed, predicted))
        else:
            report.append((0, None, None))
    ratio = float(np.mean(labels) / np.mean(scores)) if np.any(scores) else None
    return ratio, error, report
