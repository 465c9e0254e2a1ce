"""A made-up record of the benchmark, as ``benchmark.run`` writes it, and rows to run it on."""

from __future__ import annotations

from typing import Any


def seeds(*values: float) -> dict[str, Any]:
    centre = sum(values) / len(values)
    return {"value": centre, "low": centre - 0.004, "high": centre + 0.004, "seeds": list(values)}


def tuned(*accuracies: float, scope: bool = False) -> dict[str, Any]:
    names = [
        "accuracy_low",
        "accuracy_high",
        "accuracy_deduplicated",
        "accuracy_without_twins",
        "macro_f1",
        "ece",
        "ece_perfect",
    ]
    names += ["gain", "p_value", "coverage", "risk"]
    keys = ("auroc", "recall", "kept", "fpr95", "in_scope", "n")
    lines = {
        name: {key: seeds(0.9, 0.9) for key in keys} | {"validation_auroc": seeds(own, own)}
        for name, own in (("confidence", 0.8), ("nearness", 0.95))
    }
    lines["nearness"]["auroc"] = seeds(0.97, 0.98)
    return {
        "accuracy": seeds(*accuracies),
        **{name: seeds(*(0.01 for _ in accuracies)) for name in names},
        **({"scope": lines} if scope else {}),
    }


def facts(count: int = 2, first: int = 0) -> list[dict[str, Any]]:
    where = {"cpu": "Test CPU", "threads": 1, "torch": "2"}
    one = {"commit": "0123456789", "judged": "9876543210", "environment": where}
    return [one | {"seed": seed} for seed in range(first, first + count)]


def alone(accuracy: float) -> dict[str, Any]:
    own = {"network": {"accuracy": seeds(accuracy, accuracy)}, "facts": facts()}
    return own | {"ensemble": {"accuracy": seeds(accuracy + 0.01), "of": [0, 1]}}


def record() -> dict[str, Any]:
    """Two data sets, two seeds; one with messages of no known class, one with few labels."""
    simple = {"tfidf": {"accuracy": seeds(0.8, 0.8)}, "probe": {"accuracy": seeds(0.92, 0.92)}}
    sizes = {"classes": 3, "train_rows": 300, "validation_rows": 30, "test_rows": 120}
    shared = sizes | {"test_rows_with_twin": 7, "test_id_sha256": "f" * 64, "seeds": [0, 1]}
    shared |= {"command": "python -m roadworthy benchmark", "key": "a-key", "recipe": {}}
    few = {"5": simple | alone(0.71) | {"lora": tuned(0.70, 0.72)}}
    return {
        "data": {
            "one": shared
            | {"title": "One, a set", "test_rows_out_of_scope": 0, "few": few}
            | {"models": simple | alone(0.93) | {"lora": tuned(0.94, 0.95)}},
            "two": shared
            | {"title": "Two, another", "test_rows_out_of_scope": 50, "few": {}}
            | {"models": simple | alone(0.95) | {"lora": tuned(0.96, 0.97, scope=True)}},
        },
    }


TOPICS = {
    "card": "my new bank card number {} has still not come by post",
    "refund": "please pay back order {} since it never arrived here",
    "parcel": "where is parcel {} now and when does it reach me",
}


def sentences(split: str, count: int) -> list[tuple[str, str, str]]:
    words = ["blue", "red", "green", "gold", "grey", "pink", "white", "black", "brown", "teal"]
    named = [(label, text) for label, text in TOPICS.items() for _ in range(count)]
    rows = [
        (split, label, text.format(words[n % 10] * (n % 3 + 1)))
        for n, (label, text) in enumerate(named)
    ]
    outside = ["what is the weather", "sing a song", "tell me a joke", "how tall is the tower"]
    return rows + [(split, "oos", f"{text} {split}") for text in outside]
