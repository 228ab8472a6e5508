"""Reads path data of SVG, as far as covers use it: M, relative c and l, Z."""

import re

import numpy as np

NUMBERS = re.compile(r"-?(?:\d+\.?\d*|\.\d+)")


def points_of(path):
    """The lines of a path, each as many points along its curves and lines."""
    for part in filter(None, path.split("M")):
        here = np.array(NUMBERS.findall(re.split("[cl]", part)[0]), float)
        line = [here[None]]
        for kind, body in re.findall(r"([cl])([^clMZ]*)", part):
            steps = np.array(NUMBERS.findall(body), float).reshape(-1, 2)
            t = np.linspace(0, 1, 20)[:, None]
            if kind == "c":
                curve = 3 * t * (1 - t) ** 2 * steps[0] + 3 * t**2 * (1 - t) * steps[1] + t**3 * steps[2]
            else:
                curve = t * steps[-1]
            line.append(here + curve)
            here = here + steps[-1]
        yield np.concatenate(line)


def area(path):
    """Area within closed paths; holes run the other way round."""
    total = 0.0
    for line in points_of(path):
        x, y = line.T
        total += (x * np.roll(y, -1) - y * np.roll(x, -1)).sum() / 2
    return abs(total)
