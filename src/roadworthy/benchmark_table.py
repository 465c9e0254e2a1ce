"""What reports/benchmarks/results.json says, as Markdown: the page and the README's table."""

from __future__ import annotations

from typing import Any

from roadworthy.markdown import table
from roadworthy.model_names import NAMES

Tree = dict[str, Any]
FEW = ("tfidf", "probe", "network")
"""Compared by labels a class."""
PUBLISHED = {
    "banking77": [
        ("Qwen3-8B, QLoRA", "94.6", "8B", "rkemery/banking77-lora-vs-frontier"),
        ("roberta-base, full fine-tuning", "94.0 ± 0.23", "125M", "ank018/lora-banking77"),
        ("ModernBERT-base, full fine-tuning", "93.9", "149M", "rkemery/banking77-lora-vs-frontier"),
        ("Qwen3-0.6B, LoRA", "93.8", "0.6B", "rkemery/banking77-lora-vs-frontier"),
        ("BERT-large, tuned", "93.66", "340M", "Casanueva et al. 2020"),
        ("USE + ConveRT", "93.36", "not stated", "Casanueva et al. 2020"),
    ],
    "clinc150": [
        ("BERT-medium", "97.6", "41M", "uncertainty-baselines"),
        ("BERT", "96.9", "110M", "Larson et al. 2019, Table 2"),
        ("BERT-small", "96.8", "11M", "uncertainty-baselines"),
    ],
}
"""Accuracies on the test rows in scope that others report, in per cent, with size and source: not
measured here."""


def percent(score: Tree | None, digits: int = 2) -> str:
    """Show a mean over seeds in per cent, half its interval behind ±; – where there is none."""
    if score is None or score["value"] is None:
        return "–"
    text = f"{100 * score['value']:.{digits}f}"
    if score["high"] is None or score["high"] == score["value"]:
        return text
    return f"{text} ± {100 * (score['high'] - score['value']):.{digits}f}"


def _models(result: Tree) -> str:
    """Test accuracy of every architecture, best last."""
    found = {name: model for name, model in result["models"].items() if name != "facts"}
    models = sorted(found.items(), key=lambda item: item[1]["accuracy"]["value"])
    together = f"seeds {', '.join(map(str, found['ensemble']['of']))} together"
    names = NAMES | {"ensemble": together}
    lines = [[names.get(name, name), percent(model["accuracy"])] for name, model in models]
    return table(["architecture", "test accuracy, %"], lines)


def _seeds(score: Tree | None, result: Tree) -> list[float | None]:
    """A score seed by seed; none where no seed has it."""
    return list(score["seeds"]) if score else [None] * len(result["seeds"])


def _tuned(result: Tree) -> str:
    """Every score of the fine-tuned model."""
    tuned = result["models"]["lora"]
    shown = {
        "accuracy": "accuracy",
        "95 % interval of the test rows: from": "accuracy_low",
        "to": "accuracy_high",
        "without near-duplicates of training rows": "accuracy_deduplicated",
        "without near-twins (published rule)": "accuracy_without_twins",
        "macro-F1": "macro_f1",
        "gain over the frozen encoder, points": "gain",
        "ECE, calibrated, 15 bins": "ece",
        "ECE of a perfectly calibrated model": "ece_perfect",
        "share of all test messages automated": "coverage",
        "misrouted among those": "risk",
    }
    head = ["score, %", "mean of the seeds", *(f"seed {seed}" for seed in result["seeds"])]
    lines = [
        [name, percent(tuned[key])]
        + ["–" if value is None else f"{100 * value:.2f}" for value in _seeds(tuned[key], result)]
        for name, key in shown.items()
    ]
    stored = tuned["p_value"]["seeds"]  # to six places
    values = (f"{value:.2g}" if value else "< 1e-06" for value in stored)
    return table(head, [*lines, ["McNemar p against the frozen encoder", "–", *values]])


def _scope(data: str, result: Tree) -> str:
    """How each score tells messages of no known class apart."""
    scores = result["models"]["lora"].get("scope")
    if not scores:
        return ""
    head = ["score", "AUROC", "AUROC, validation", "turned away", "in-scope kept"]
    head += ["in-scope accuracy, those turned away wrong", "pass where 95 % in scope do"]
    keys = ("auroc", "validation_auroc", "recall", "kept", "in_scope", "fpr95")
    lines = [[name, *(percent(line[key]) for key in keys)] for name, line in scores.items()]
    count = result["test_rows_out_of_scope"]
    return (
        f"\n### Messages of no known class ({count:,} test rows), %\n\nThe threshold keeps 95 % of "
        f"the in-scope validation rows.\n\n{table(head, lines)}\n"
        f"![In-scope accuracy against the share turned away, by threshold](trade_off_{data}.png)\n"
    )


def _cascades(result: Tree) -> str:
    """What a cheap model may answer before the fine-tuned one."""
    found = result["models"]["lora"].get("cascade")
    if not found:
        return ""
    head = ["answers first", "of the test rows", "accuracy lost", "lost on validation rows"]
    head += ["lost where it answers 85 % of the test rows"]
    keys = ("share", "loss", "promised", "loss_at_most")
    lines = [
        [NAMES[name], *(percent(line.get(key)) for key in keys)] for name, line in found.items()
    ]
    return (
        "\n### A cheap model first, %\n\nIt answers what it is sure of: as much as validation rows "
        "allow at the accepted loss (`evaluate.cascade_loss`); the fine-tuned model answers the "
        "rest. The last column is one point of the trade-off on test rows, chosen by no one: few "
        "validation rows find a threshold only roughly.\n\n"
        f"{table(head, lines)}"
    )


def _few(result: Tree) -> str:
    """Accuracy by labels a class."""
    if not result["few"]:
        return ""
    every = result["train_rows"] / result["classes"]
    points = {**result["few"], f"all (about {every:.0f})": result["models"]}
    lines = [
        [shots, *(percent(models[name]["accuracy"]) for name in FEW)]
        for shots, models in points.items()
    ]
    head = ["labels a class", *(NAMES[name] for name in FEW)]
    return f"\n### Few labels: test accuracy, %\n\n{table(head, lines)}"


def _section(name: str, result: Tree) -> str:
    where = sorted({shown(facts["environment"]) for facts in _facts(result)})
    others = table(
        ["reported by others, not measured here", "accuracy, %", "parameters", "source"],
        PUBLISHED.get(name, []),
    )
    return f"""## {result["title"]}

Made by `{result["command"]}`: trained at commit {_listed(result, "commit")}, judged at
{_listed(result, "judged")}; recipe, libraries and every seed in `results.json`.
{"; ".join(where)}.

{result["train_rows"]:,} training, {result["validation_rows"]:,} validation and \
{result["test_rows"]:,} test rows, {result["classes"]} classes; {result["test_rows_with_twin"]:,} \
test rows have a near-twin in training (published rule). Test ids `{result["test_id_sha256"][:12]}`.

{_models(result)}
{others if name in PUBLISHED else ""}
### The fine-tuned model

{_tuned(result)}{_scope(name, result)}{_cascades(result)}{_few(result)}"""


def _facts(result: Tree) -> list[Tree]:
    """What each training of a data set left on record."""
    return [
        facts for models in (result["models"], *result["few"].values()) for facts in models["facts"]
    ]


def shown(environment: Tree) -> str:
    """A machine in a few words."""
    threads = environment["threads"]
    return f"{environment['cpu']}, {threads} thread(s), torch {environment['torch']}"


def _listed(result: Tree, key: str) -> str:
    return ", ".join(sorted({str(facts[key]) for facts in _facts(result)}))


def page(results: Tree) -> str:
    """reports/benchmarks/table.md."""
    sections = "\n".join(_section(name, result) for name, result in results["data"].items())
    return f"""# Published data sets

Means over seeds ± half of Student's 95 % interval: the luck of training, not that of the test rows.
A seed draws adapters, dropout, order and, with few labels, the rows. Choices are made on validation
rows; training rows are taken as labelled. The fine-tuned model is network and TF-IDF together; few
labels leave no validation rows to fit TF-IDF's weight on: there the network answers alone.
Automated are messages that pass the guard and a threshold, both chosen on validation rows, so that
at most the accepted share is misrouted (`evaluate.target_risk`); one of no known class always is.

![Accuracy by labels a class](few_labels.png)

{sections}"""


def readme(results: Tree) -> list[str]:
    """The README's lines: one table, one sentence.

    Raises:
        ValueError: no data set is on record.
    """
    lines = []
    if not results["data"]:
        raise ValueError("no data set")
    for result in results["data"].values():
        tuned, models = result["models"]["lora"], result["models"]
        best = max((tuned.get("scope") or {"": None}).values(), key=_validated)
        lines.append(
            [
                result["title"].split(",")[0],
                str(len(result["seeds"])),
                percent(tuned["accuracy"]),
                percent(models["network"]["accuracy"]),
                percent(models["probe"]["accuracy"]),
                percent(tuned["accuracy_without_twins"]),
                percent(tuned["ece"]),
                percent(best["auroc"]) if best else "–",
            ]
        )
    head = ["published data set, %", "seeds", "LoRA and TF-IDF", "LoRA alone", "frozen encoder"]
    head += ["both, without near-twins", "ECE", "AUROC, no known class"]
    made = {facts["commit"] for result in results["data"].values() for facts in _facts(result)}
    return [
        *table(head, lines).splitlines(),
        "",
        "Mean over seeds ± half of its 95 % interval: the luck of training, not that of the test "
        f"rows. `make benchmark`, trained at commit {', '.join(sorted(made))}; "
        "[more](reports/benchmarks/table.md).",
    ]


def _validated(line: Tree | None) -> float:
    return line["validation_auroc"]["value"] or 0.0 if line else 0.0
