"""The data card and the model card, rendered from what the run recorded and from conf/.

Nothing is typed in by hand but the frame: what a record does not hold appears as "not measured".
Structure after Gebru et al. (2021), "Datasheets for Datasets", and Mitchell et al. (2019), "Model
Cards for Model Reporting".
"""

from __future__ import annotations

from roadworthy.markdown import ABSENT, Tree, facts, find, interval, rows, text

MINILM = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
KNOWN = {MINILM: "all-MiniLM-L6-v2 (Apache-2.0)"}
"""SHA-256 of the weights -> name and licence; of other encoders only the settings are known."""
# What each section shows: name -> dotted path in the record.
SPLITS = {
    "Brought by the data": "split.brought",
    "Training rows": "split.train",
    "Validation rows": "split.validation",
    "Test rows": "split.test",
    "Test set (SHA-256 of its ids)": "split.test_id_sha256",
    "Test rows with a near-duplicate in training (share)": "leakage.test_share",
}
FOUND = {
    "Rows set aside for breaking the contract": "contract.quarantined_rows",
    "Messages with personal data of a known form": "personal_data.rows",
    "Messages with broken characters": "broken_encoding_rows",
    "Clusters of copies with different labels": "conflicting_clusters",
    "Agreement of annotators (Krippendorff's alpha)": "agreement.alpha",
}
NOISE = {
    "Treatment of the training labels": "chosen",
    "Share of test labels that a model doubts": "test_noise.estimate",
    "From": "test_noise.low",
    "To (95 %, the draw of rows alone)": "test_noise.high",
}
ENCODER = {"Weights": "package", "SHA-256": "sha256", "Longest input (tokens)": "max_length"}
SIZE = {
    "Trainable parameters": "parameters.trainable",
    "Parameters in all": "parameters.total",
    "Adapter (bytes)": "adapter_bytes",
    "Merged model (bytes)": "merged_bytes",
    "Weight of TF-IDF beside the network": "tfidf_weight",
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
    "Share of the way from the start": "interpolation",
    "Precision": "precision",
}
JUDGES = {
    "Test messages": "rows.test",
    "Validation messages": "rows.validation",
    "Test set (SHA-256 of its ids)": "test_id_sha256",
}
JUDGED = {
    "Level of the intervals": "reference.confidence",
    "Gain over the best baseline": "lora.mcnemar.difference.value",
    "Its p-value (McNemar)": "lora.mcnemar.p_value",
    "Temperature": "lora.temperature",
    "ECE that perfect calibration would show": "lora.ece_perfect",
    "Share automated at the accepted risk": "lora.selective.coverage",
    "Test messages automated": "lora.selective.automated",
    "Wrong among them": "lora.selective.wrong",
    "Error rate among them": "lora.selective.risk",
    "Its highest plausible value (95 %)": "lora.selective.risk_high",
    "Messages of no known class held back by": "reference.guard.score",
    "How well it tells them (AUROC)": "reference.guard.auroc",
    "Share of them held back": "reference.guard.recall",
    "Share of the others let through": "reference.guard.kept",
    "Share automated with it": "reference.guard.coverage",
    "Error rate among the automated with it": "reference.guard.risk",
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


def _lines(*parts: str | list[str]) -> str:
    flat = [part if isinstance(part, str) else "\n".join(part) for part in parts]
    return "\n\n".join(flat) + "\n"


def _sources(data: Tree, audit: Tree) -> list[str]:
    """List the files: as the audit found them, or as declared where it left no inventory."""
    found = find(audit, "sources") or find(data, "files") or []
    columns = ("path", "rows", "newest", "age_days", "sha256")
    cells = [[text(find(source, key)) for key in columns] for source in found]
    return rows(("file", "rows", "newest message", "age in days", "SHA-256"), cells)


def _drift(audit: Tree) -> list[str]:
    """Say in what the messages differ, beyond chance, between splits and between periods."""
    compared = find(audit, "drift.comparisons") or {}
    cells = [
        [
            text(name),
            text([signal for signal, one in found.items() if find(one, "drift")] or "nothing"),
        ]
        for name, found in compared.items()
    ]
    return rows(("compared", "they differ in"), cells) if cells else [f"Drift: {ABSENT}."]


def data_card(data: Tree, audit: Tree, clean: Tree) -> str:
    """Render the data card from conf's section ``data`` and the records of audit and clean."""
    return _lines(
        f"# Data card: {text(find(data, 'title') or find(data, 'name'))}",
        "Generated by the stage `readiness` from `reports/metrics/audit.json`, "
        "`reports/metrics/clean.json` and the data set's file under `conf/data/`.",
        "## Composition",
        _sources(data, audit),
        facts(audit, {"Messages": "rows", "Classes": "classes", "Newest": "freshness.newest"}),
        "## How it was made, and by whose leave",
        facts(data, {"Origin": "origin", "Licence": "licence", "Who answers for it": "owner"}),
        "## Splits",
        facts(audit, SPLITS),
        "## What the audit found",
        facts(audit, FOUND),
        "## Drift",
        _drift(audit),
        "## Label noise",
        facts(clean, NOISE),
        "Doubted is not wrong: a weak model doubts what it confuses, so the share leans high. The "
        "rows are in `reports/tables/clean/doubted_test.csv`; test labels are never changed.",
        "## Limits",
        [
            "- Of intents, channels and varieties of language that the data does not hold, the "
            "scores say nothing.",
            "- A message carries one label, also where it asks for two things.",
            f"- Ages are counted to the audit's own date, not to today "
            f"({text(find(audit, 'freshness.as_of'))}).",
        ],
    )


def _scores(evaluate: Tree, name: str) -> list[str]:
    models = find(evaluate, "models") or {}
    best = find(evaluate, "best_baseline")
    wanted = [model for model in dict.fromkeys((name, best)) if model in models]
    cells = [
        [
            text(model),
            interval(find(models[model], "accuracy")),
            interval(find(models[model], "accuracy_deduplicated")),
            interval(find(models[model], "macro_f1")),
            text(find(models[model], "ece_before")),
            text(find(models[model], "ece_after")),
        ]
        for model in wanted or [name]
        if model in models
    ]
    header = ("model", "accuracy", "without near-duplicates", "macro-F1", "ECE", "ECE calibrated")
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


def model_card(
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
    return _lines(
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
