"""Reader for the golden parity vectors (no model code, numpy only).

Layout: <set>/<method>/<case>.npz + <case>.json; <set>/index.json lists all of them.
See README.md next to the sets for the meaning of every key.
"""

from __future__ import annotations

import hashlib
import json
import pathlib
import zlib

import numpy as np

_GAMMA = np.uint64(0x9E3779B97F4A7C15)
_M1 = np.uint64(0xBF58476D1CE4E5B9)
_M2 = np.uint64(0x94D049BB133111EB)


def unit(seed: int, key: str, n: int) -> np.ndarray:
    """n float32 values in [-1, 1), an exact integer recipe (splitmix64 counter mode).

    Element i (0-based, C order) is ((mix(base + (i + 1) * GAMMA) >> 40) - 2**23) / 2**23 with
    base = (seed mod 2**32) * 2**32 + crc32(key), everything modulo 2**64.
    """
    base = np.uint64(((int(seed) & 0xFFFFFFFF) << 32) | (zlib.crc32(key.encode()) & 0xFFFFFFFF))
    with np.errstate(over="ignore"):
        z = base + np.arange(1, n + 1, dtype=np.uint64) * _GAMMA
        z = (z ^ (z >> np.uint64(30))) * _M1
        z = (z ^ (z >> np.uint64(27))) * _M2
        z = z ^ (z >> np.uint64(31))
    return ((z >> np.uint64(40)).astype(np.int64) - (1 << 23)).astype(np.float32) / np.float32(
        1 << 23
    )


def make_param(seed: int, name: str, shape, scale: float, offset: float) -> np.ndarray:
    n = int(np.prod(shape, dtype=np.int64)) if len(shape) else 1
    v = unit(seed, "param:" + name, n)
    return (np.float32(offset) + np.float32(scale) * v).astype(np.float32).reshape(tuple(shape))


def make_bag(seed: int, bag_id: str, n: int, d: int) -> np.ndarray:
    """Float32 [n, d], multiples of 1/64; about 10 % of the rows carry a common shift."""
    a = unit(seed, "x:" + bag_id, n * d).reshape(n, d)
    s = unit(seed, "shift", d).reshape(1, d)
    m = (unit(seed, "mask:" + bag_id, n) > np.float32(0.8)).astype(np.float32).reshape(n, 1)
    x = np.float32(0.8) * a + m * (np.float32(0.7) * s)
    return (np.rint(x * np.float32(64)) / np.float32(64)).astype(np.float32)


def probe(name: str, n: int) -> np.ndarray:
    """Fixed direction on which a parameter's gradient is projected ("gradprobe")."""
    return unit(0x5EED, "probe:" + name, n)


def sha(a: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(a).tobytes()).hexdigest()[:16]


class Case:
    def __init__(self, json_path):
        self.path = pathlib.Path(json_path)
        self.meta = json.loads(self.path.read_text())
        self._npz = np.load(self.path.with_suffix(".npz"), allow_pickle=False)

    def __getitem__(self, key):
        return self._npz[key]

    def __contains__(self, key):
        return key in self._npz.files

    def keys(self):
        return self._npz.files

    def params(self) -> dict[str, np.ndarray]:
        """Official parameter or buffer name -> float32 array, stored or rebuilt and checked."""
        out = {}
        for p in self.meta["params"]:
            k = "param." + p["name"]
            if k in self._npz.files:
                out[p["name"]] = self._npz[k]
            else:
                out[p["name"]] = make_param(
                    self.meta["seed"], p["name"], p["shape"], p["scale"], p["offset"]
                )
                assert sha(out[p["name"]]) == p["sha"], p["name"]
        return out

    def bags(self) -> list[dict]:
        """One dict per bag: its meta, `x`, all inputs, outputs, gradient norms and probes."""
        res = []
        for b in self.meta["bags"]:
            pre = b["id"] + "."
            kinds = ("out", "out64", "gradnorm", "gradprobe", "xgradnorm")
            d = {"meta": b, "inputs": {}, **{kind: {} for kind in kinds}}
            for k in self._npz.files:
                if not k.startswith(pre):
                    continue
                kind, _, name = k[len(pre) :].partition(".")
                if kind == "in":
                    d["inputs"][name] = self._npz[k]
                elif kind in d:
                    d[kind][name] = self._npz[k]
            if "x" not in d["inputs"] and "N" in b:
                d["inputs"]["x"] = make_bag(self.meta["seed"], b["id"], b["N"], b["D"])
                assert sha(d["inputs"]["x"]) == b["x_sha"], b["id"]
            d["x"] = d["inputs"].get("x")
            res.append(d)
        return res


def iter_cases(set_dir):
    set_dir = pathlib.Path(set_dir)
    for j in sorted(set_dir.glob("*/*.json")):
        yield Case(j)
