"""The model card, rendered from what the run recorded and from conf/.

Nothing is typed in by hand but the frame: what a record does not hold appears as "not measured".
Structure after Mitchell et al. (2019), "Model Cards for Model Reporting".
"""

from __future__ import annotations

from roadworthy.markdown import ABSENT, Tree, facts, find, interval, page, rows, text
from roadworthy.model_names import NAMES

MINILM = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
KNOWN = {MINILM: "all-MiniLM-L6-v2 (Apache-2.0)"}
"""SHA-256 of the weights -> name and licence; of other encoders only the settings are known."""
# What each section shows: name -> dotted path in the record.
ENCODER = {"Weights": "package", "SHA-256": "sha256", "Longest input (tokens)": "max_length"}
SIZE = {
    "Trainable parameters": "parameters.trainable",
    "Parameters in all": "parameters.total",
    "Adapter (bytes)": "adapter_bytes",
    "Merged model (bytes)": "merged_bytes",
    "Weight of TF-IDF beside the network (which counts 1)": "tfidf_weight",
}
TRAINING = {
    "Training rows": "train_rows",
    "Best epoch of each network": "best_epochs",
    "Steps of all networks": "steps",
    "Examples seen": "examples_seen",
    "Tokens seen": "tokens_seen",
}
RECIPE = {
    "Networks averaged": "networks",
    "Rank of each": "lora.r",
    "Alpha of each": "lora.alpha",
    "Adapted layers": "lora.target_modules",
    "Learning rate": "learning_rate",
    "Batch size": "batch_size",
    "Label smoothing": "label_smoothing",
    "Share of tokens hidden": "token_dropout",
    "Weight interpolation (1: as learnt)": "interpolation",
    "Precision": "precision",
}
JUDGES = {
    "Test messages": "rows.test",
    "Test messages of no known class, in no accuracy": "rows.test_out_of_scope",
    "Validation messages": "rows.validation",
    "Test set (SHA-256 of its ids)": "test_id_sha256",
}
SCORES = {
    "accuracy": "accuracy",
    "accuracy by verified labels": "accuracy_gold",
    "without near-duplicates": "accuracy_deduplicated",
    "macro-F1": "macro_f1",
}
JUDGED = {
    "Level of the intervals": "reference.confidence",
    "Gain over the best baseline": "lora.mcnemar.difference.value",
    "Its p-value (McNemar), to six decimals": "lora.mcnemar.p_value",
    "Intent with the lowest recall": "lora.worst_class",
    "Its recall": "lora.worst_class_recall",
    "Its test messages": "lora.worst_class_rows",
    "Temperature": "lora.temperature",
    "Lapse (share of labels that say nothing)": "lora.lapse",
    "ECE that perfect calibration would show": "lora.ece_perfect",
    "Messages of no known class held back by": "reference.guard.score",
    "How well it tells them (AUROC)": "reference.guard.auroc",
    "Share of them held back": "reference.guard.recall",
    "Share of in-scope messages let through": "reference.guard.kept",
    "Accepted error rate among automated messages": "reference.served.target_risk",
    "Share of all test messages automated": "reference.served.coverage",
    "Messages automated": "reference.served.automated",
    "Wrong among them": "reference.served.wrong",
    "Upper end of the 95 % interval of their error rate": "reference.served.risk_high",
}
MONEY = {
    "Prices as of": "all.prices_as_of",
    "Currency": "all.currency",
    "Messages a month": "all.volume",
    "Monthly spend": "lora.monthly.total",
    "Per 1,000 messages": "lora.per_1000",
    "Latency p95 (ms)": "lora.latency_ms_p95",
    "Measured on": "all.machine.cpu",
    "With the model and messages of": "all.reference.data",
}
USE = [
    "- Meant for: suggesting the intent of a message, with people taking what it is unsure of "
    "and able to correct it.",
    "- Not meant for: deciding about people (credit, eligibility, sanctions), reading "
    "emotions, other domains than that of the data card, or other languages: the default encoder "
    "learnt English.",
    "- Message text is untrusted: the model only ever picks one of its intents, and text "
    "written to steer it can still make it pick the wrong one.",
    "- Retrain and judge again when intents, products or channels change.",
]


def _scores(evaluate: Tree, name: str) -> list[str]:
    models = find(evaluate, "models") or {}
    best = find(evaluate, "best_baseline")
    wanted = [model for model in dict.fromkeys((name, best)) if model in models]
    cells = [
        [
            NAMES.get(model, text(model)),
            *(interval(find(models[model], path)) for path in SCORES.values()),
            *(text(find(models[model], path)) for path in ("ece_before", "ece_after")),
        ]
        for model in wanted or [name]
        if model in models
    ]
    header = ("model", *SCORES, "ECE", "ECE calibrated")
    return rows(header, cells) if cells else [f"Scores: {ABSENT}."]


def _verdict(readiness: Tree) -> list[str]:
    """Say the verdict in a line, and tabulate what it rests on."""
    reasons = find(readiness, "reasons")
    line = f"**{text(find(readiness, 'verdict'))}**" + (f": {text(reasons)}." if reasons else "")
    header = ("criterion", "verdict", "value", "needs", "of what", "who answers", "evidence")
    cells = [_criterion(item) for item in find(readiness, "criteria") or []]
    return [line, "", *rows(header, cells)] if cells else [line]


def _criterion(item: Tree) -> list[str]:
    """Lay out one criterion; where it names a baseline, its value is the difference to that."""
    value, baseline = find(item, "value"), find(item, "baseline")
    if value is not None and baseline is not None:
        value -= baseline
    least = {"at_least": "at least", "at_most": "at most"}.get(find(item, "direction"), "")
    plain = [text(find(item, key)) for key in ("name", "verdict", "unit", "owner", "evidence")]
    needs = f"{least} {text(find(item, 'threshold'))}".strip()
    return [*plain[:2], text(value), needs, *plain[2:]]


def _encoder(encoder: Tree) -> str:
    """Name what was tuned: with its licence where the weights are known by their hash."""
    package = text(find(encoder, "package"))
    stranger = f"The sentence encoder of the package {package} (licence: see that package)"
    name = KNOWN.get(str(find(encoder, "sha256")), stranger)
    return (
        f"{name} with low-rank adapters (Hu et al., 2021) and a cosine head, pooled with a linear "
        f"model on TF-IDF at a weight fitted on validation rows."
    )


def render(
    data: Tree,
    encoder: Tree,
    settings: Tree,
    finetune: Tree,
    evaluate: Tree,
    cost: Tree,
    readiness: Tree,
) -> str:
    """Render the model card from the records and from conf's sections of data and model."""
    lora, money = find(evaluate, "models.lora"), find(cost, "models.lora")
    return page(
        "# Model card: the fine-tuned intent classifier",
        f"For {text(find(data, 'title') or find(data, 'name'))}; the data card is beside this one. "
        "Generated by the stage `readiness` from `reports/metrics/` and `conf/`.",
        facts(evaluate, JUDGES),
        "## Verdict",
        _verdict(readiness),
        "## Model",
        _encoder(encoder),
        facts(encoder, ENCODER),
        facts(finetune, SIZE),
        "## Training",
        facts(finetune, TRAINING),
        facts(settings, RECIPE),
        "## Scores on the frozen test set",
        _scores(evaluate, "lora"),
        facts({"lora": lora, "reference": evaluate}, JUDGED),
        "## Cost",
        facts({"lora": money, "all": cost}, MONEY),
        "## Use and misuse",
        USE,
    )
