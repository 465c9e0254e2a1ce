"""What is trained side by side: our LoRA recipe, and what one would pick instead.

Each function runs in a process of its own, see ``rivals``, and imports what it uses when it is
called, so that its peak memory is its own. Loading is not timed, tokenising is.
"""

from __future__ import annotations

import resource
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from roadworthy.models.architecture import Labelled
from roadworthy.settings import Encoder, Settings

Result = dict[str, Any]
Decide = Callable[[Sequence[str]], NDArray[np.int64]]
"""Texts to class numbers."""


@dataclass(frozen=True)
class Rows:
    """The same rows for every model."""

    train: Labelled
    few: Labelled
    """A few training rows of each class."""
    validation: Labelled
    test: Labelled


def peak_gb() -> float:
    """Peak memory of this process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20


def scores(rows: Rows, decide: Decide) -> Result:
    """Accuracy on the rows that are only judged."""
    return {
        f"{name}_accuracy": float((decide(part.texts) == part.y).mean())
        for name, part in (("validation", rows.validation), ("test", rows.test))
    }


def best(result: Result) -> float:
    """The best validation accuracy on a learning curve."""
    return float(max(point["validation_accuracy"] for point in result["curve"]))


def learnt(seconds: float, examples: int) -> Result:
    """What training took; ``examples`` are training texts seen, repeats counted."""
    return {
        "seconds": seconds,
        "examples": examples,
        "examples_per_s": examples / seconds,
        "peak_gb": peak_gb(),
    }


def recipe(rows: Rows, settings: Settings, keep: Path | None, choose: bool = True) -> Result:
    """One network by our LoRA recipe, its classes' first vectors included; kept for bulk scoring.

    Unless validation rows ``choose`` the epoch, all are run, and there is no curve.
    """
    from roadworthy.models.encoder import SentenceEncoder
    from roadworthy.models.lora import fresh_network, head, predict_vectors
    from roadworthy.models.network import centroids
    from roadworthy.tokens import LengthBuckets, Tokens
    from roadworthy.training import fit

    class Timed(LengthBuckets):
        """Notes when each epoch begins."""

        def __iter__(self) -> Iterator[list[int]]:
            begun.append(time.perf_counter())
            yield from super().__iter__()

    begun: list[float] = []
    cfg, encoder, train = settings.finetune, settings.encoder, rows.train
    embed = SentenceEncoder(encoder)
    start = time.perf_counter()
    prototypes = centroids(embed(train.texts), train.y, train.n_classes)
    spent = time.perf_counter() - start
    network, tokenizer = fresh_network(encoder, cfg.lora, prototypes, cfg.scale, settings.seed)
    start = time.perf_counter() - spent  # loading the network does not count
    length, size = encoder.max_length, cfg.batch_size
    held = rows.validation if choose else None
    tokens = Tokens(tokenizer, network, train, held, length, size, settings.seed)
    tokens.sampler = Timed(tokens.lengths, size, settings.seed)
    trained = fit(network, tokens, cfg, "cpu", settings.seed)
    end = time.perf_counter()
    result = learnt(end - start, trained.examples)
    lines = (
        zip([*begun[1:], end], trained.curve["validation_accuracy"], strict=True) if held else ()
    )
    n = len(rows.validation.texts)  # an exact share, which a float32 is not
    curve = [{"seconds": t - start, "validation_accuracy": round(n * got) / n} for t, got in lines]

    def decide(texts: Sequence[str]) -> NDArray[np.int64]:
        net, size = trained.network, encoder.batch_size
        logits = head(net, predict_vectors(net, tokenizer, texts, length, size))
        found: NDArray[np.int64] = logits.argmax(axis=1)
        return found

    result |= {"curve": curve, "precision": cfg.precision} | scores(rows, decide)
    if keep:
        _keep(trained.network, tokenizer, train, encoder, keep)
    return result


def _keep(network: Any, tokenizer: Any, train: Labelled, encoder: Encoder, folder: Path) -> None:  # noqa: ANN401
    """The tuned model, merged and as ONNX, for bulk scoring."""
    from roadworthy.export import build
    from roadworthy.models.lora import LoraClassifier, save_merged

    merged, onnx = folder / "merged", folder / "onnx"
    for made in (merged, onnx):
        made.mkdir(exist_ok=True)
    labels = [str(n) for n in range(train.n_classes)]
    save_merged(network, tokenizer, labels, encoder.max_length, merged)
    build(merged, LoraClassifier(merged, encoder), train.texts, onnx)


def _adapted(settings: Settings, n_classes: int) -> tuple[Any, Any]:
    """The encoder with a plain head and adapters, and its tokenizer."""
    import transformers
    from peft import LoraConfig, get_peft_model

    from roadworthy.models.encoder import model_folder

    lora, source = settings.finetune.lora, model_folder(settings.encoder)
    network = transformers.AutoModelForSequenceClassification.from_pretrained(
        source, num_labels=n_classes
    )
    config = LoraConfig(
        task_type="SEQ_CLS", r=lora.r, lora_alpha=lora.alpha, lora_dropout=lora.dropout,
        target_modules=list(lora.target_modules),
    )  # fmt: skip
    with warnings.catch_warnings():  # peft asks transformers by a name that is going away
        warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
        adapted = get_peft_model(network, config)
    return adapted, transformers.AutoTokenizer.from_pretrained(source)


def _options(settings: Settings, rows: int, folder: str) -> Any:  # noqa: ANN401
    """Trainer's arguments: our recipe's numbers, Trainer's defaults for the rest."""
    import transformers

    cfg = settings.finetune
    per_epoch = -(-rows // cfg.batch_size)
    epochs = min(cfg.max_epochs, -(-cfg.max_steps // per_epoch))
    return transformers.TrainingArguments(
        folder, per_device_train_batch_size=cfg.batch_size, num_train_epochs=epochs,
        per_device_eval_batch_size=4 * cfg.batch_size, learning_rate=cfg.learning_rate,
        weight_decay=cfg.weight_decay, warmup_steps=round(cfg.warmup * epochs * per_epoch),
        eval_strategy="epoch", save_strategy="epoch", save_total_limit=1, save_only_model=True,
        load_best_model_at_end=True, metric_for_best_model="accuracy", logging_strategy="no",
        report_to="none", use_cpu=True, dataloader_pin_memory=False, seed=settings.seed,
    )  # fmt: skip


def trainer(rows: Rows, settings: Settings, target: float) -> Result:
    """LoRA by peft under transformers' Trainer: random batches padded to their longest, fp32.

    Steps, batch size, learning rate, schedule, rank and target modules are our recipe's. It stops
    once the validation accuracy reaches ``target``, and keeps its best epoch.
    """
    import transformers
    from datasets import Dataset

    class Watch(transformers.TrainerCallback):  # type: ignore[misc]
        """Notes each epoch's validation accuracy, and stops at the target."""

        def on_evaluate(
            self, args: Any, state: Any, control: Any, metrics: dict[str, float], **_: Any  # noqa: ANN401
        ) -> None:  # fmt: skip
            got = metrics["eval_accuracy"]
            curve.append({"seconds": time.perf_counter() - start, "validation_accuracy": got})
            control.should_training_stop = control.should_training_stop or got >= target

    curve: list[dict[str, float]] = []
    transformers.set_seed(settings.seed)
    transformers.logging.set_verbosity_error()
    network, tokenizer = _adapted(settings, rows.train.n_classes)

    def tokenised(part: Labelled) -> Any:  # noqa: ANN401
        words = tokenizer(part.texts, truncation=True, max_length=settings.encoder.max_length)
        return Dataset.from_dict({**words, "label": part.y.tolist()})

    with TemporaryDirectory(prefix="roadworthy-") as folder:
        options = _options(settings, len(rows.train.texts), folder)
        start = time.perf_counter()
        run = transformers.Trainer(
            network,
            options,
            train_dataset=tokenised(rows.train),
            eval_dataset=tokenised(rows.validation),
            processing_class=tokenizer,  # which pads each batch to its longest row
            compute_metrics=lambda p: {
                "accuracy": (p.predictions.argmax(-1) == p.label_ids).mean()
            },
            callbacks=[Watch],
        )
        run.train()
    result = learnt(curve[-1]["seconds"], len(curve) * len(rows.train.texts))
    found = run.predict(tokenised(rows.test)).predictions.argmax(-1)
    return result | {
        "curve": curve,
        "precision": "32-true",
        "target": target,
        "validation_accuracy": best({"curve": curve}),
        "test_accuracy": float((found == rows.test.y).mean()),
    }


def setfit(rows: Rows, settings: Settings) -> Result:
    """SetFit with one pair of each kind per row, its least, and its own settings otherwise."""
    from datasets import Dataset
    from setfit import SetFitModel, Trainer, TrainingArguments

    from roadworthy.models.encoder import model_folder

    few = rows.few
    model = SetFitModel.from_pretrained(str(model_folder(settings.encoder)), device="cpu")
    with TemporaryDirectory(prefix="roadworthy-") as folder:
        options = TrainingArguments(
            folder, num_iterations=1, num_epochs=1, report_to="none", save_strategy="no",
            seed=settings.seed,
        )  # fmt: skip
        start = time.perf_counter()
        data = Dataset.from_dict({"text": few.texts, "label": few.y.tolist()})
        Trainer(model=model, args=options, train_dataset=data).train()
    # Two pairs for each row; then each row once, for the head.
    result = learnt(time.perf_counter() - start, 5 * len(few.texts))
    return result | scores(rows, lambda texts: np.asarray(model.predict(list(texts))))
