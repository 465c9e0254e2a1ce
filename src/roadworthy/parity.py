"""Does an exported engine decide as the trained network does? Frames in, a page out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from roadworthy import evaluate, scope, service
from roadworthy.intervals import wilson
from roadworthy.markdown import table
from roadworthy.predictions import Judged
from roadworthy.settings import Evaluate

TORCH = "torch"
Facts = dict[str, Any]


@dataclass(frozen=True)
class Decided:
    """What an engine decides by itself."""

    fitted: dict[str, Any]
    """``temperature, lapse, threshold, guard``, as ``service`` needs them."""
    facts: dict[str, Any]
    """What the report says of it."""
    routes: pd.DataFrame
    """``id, label, pred, decision`` of all test rows."""


def decide(
    judged: Judged, engine: str, familiar: pd.DataFrame, settings: Evaluate, seed: int
) -> Decided:
    """Fit calibration, guard and threshold of an engine on validation rows; judge on test rows."""
    own = evaluate.calibrate(judged, engine, settings, seed)
    scores = scope.scores(judged, engine, own.scale, familiar)
    guard = scope.guard(judged, engine, scores)
    served = scope.served(judged, engine, scores, guard, settings.target_risk)
    test = (judged.rows["split"] == "test").to_numpy()
    strange = scope.stopped(scores, guard)
    said = service.decision(scores["confidence"].to_numpy(), strange, served.threshold)
    frame = judged.models[engine]
    facts = {
        "validation_accuracy": float(judged.correct(engine, "validation").mean()),
        "test_accuracy": float(judged.correct(engine, "test").mean()),
        "test_rows": int(judged.mask("test").sum()),
        "ece": own.ece_after,
        "coverage": served.coverage,
        "automated": served.automated,
        "risk": served.risk,
    }
    fitted = own.scale._asdict() | {"threshold": served.threshold, "guard": guard}
    routes = frame[["id", "label", "pred"]].assign(decision=said)[test].reset_index(drop=True)
    return Decided(fitted, facts, routes)


def compare(found: dict[str, Decided], judged: Judged) -> dict[str, dict[str, Any]]:
    """Each engine's facts, and what it decides otherwise than torch on test rows.

    ``flips`` are rows of known classes that get another class, ``rerouted`` rows of either kind
    that a person gets instead of automation, or the reverse.
    """
    before = found[TORCH].routes
    known = before["label"].isin(judged.classes)
    columns = [f"p_{label}" for label in judged.classes]
    values = {name: judged.models[name][columns].to_numpy(np.float64) for name in found}
    out = {}
    for engine, one in found.items():
        flipped = (one.routes["pred"] != before["pred"]) & known
        automated = [routes["decision"] == service.AUTOMATED for routes in (one.routes, before)]
        low, high = wilson(int(flipped.sum()), int(known.sum()), 0.95)
        out[engine] = one.facts | {
            "flips": int(flipped.sum()),
            "flips_low": low,
            "flips_high": high,
            "rerouted": int((automated[0] != automated[1]).sum()),
            "largest_difference": float(np.abs(values[engine] - values[TORCH]).max()),
        }
    return out


def otherwise(decided: dict[str, Decided]) -> pd.DataFrame:
    """Test rows that int8 gives another class or another decision than torch: both, side by side.

    ``id, label, pred_torch, decision_torch, pred_int8, decision_int8``.
    """
    before, after = decided[TORCH].routes, decided["int8"].routes
    both = before.merge(after.drop(columns="label"), on="id", suffixes=("_torch", "_int8"))
    same = [both[f"{what}_torch"] == both[f"{what}_int8"] for what in ("pred", "decision")]
    return both[~(same[0] & same[1])]


def page(found: dict[str, Facts], decided: dict[str, Decided], about: Facts, short: int) -> str:
    """reports/export/table.md; ``short``: tokens that messages of one length had."""
    frame = pd.DataFrame(
        {
            "engine": name,
            "MB": f"{one['bytes'] / 1e6:.1f}",
            "test accuracy": f"{one['test_accuracy']:.4f}",
            "classes changed": f"{one['flips']} of {one['test_rows']}",
            "rerouted": f"{one['rerouted']} of {len(decided[name].routes)}",
            "largest difference of a probability": f"{one['largest_difference']:.1e}",
            "ECE": f"{one['ece']:.4f}",
            "automated": f"{one['coverage']:.3f}",
            "network, p50, ms": f"{one['latency_ms']['network']['p50']:.1f}",
            "p99, ms": f"{one['latency_ms']['network']['p99']:.1f}",
            f"{short} tokens, p50, ms": f"{one['latency_ms']['cut']['p50']:.1f}",
            f"{short} tokens, p99, ms": f"{one['latency_ms']['cut']['p99']:.1f}",
            "with TF-IDF, p50, ms": f"{one['latency_ms']['served']['p50']:.1f}",
        }
        for name, one in found.items()
    )
    return f"""# The exported model: {about["data"]}

Made by `python -m roadworthy export` at commit {about["commit"]} on {about["machine"]["cpu"]}, one
thread, one engine a process, from the model whose model.json has SHA-256
`{about["source"]["network"][:12]}`. Accuracy and decisions are those of network and TF-IDF
together, as served; each engine has calibration, guard and threshold of its own, from validation
rows. Beside torch a class is changed, or a message rerouted from automation to people or back.
`flips.csv` has every test message that int8 treats otherwise, those included that only come to
people for another reason. Times are of messages as they come, and of the same cut to {short}
tokens.

{table(list(frame.columns), frame.to_numpy().tolist())}"""
