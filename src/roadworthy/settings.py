"""Every setting, typed and documented: the schema of conf/ and of params.yaml.

YAML under conf/ holds values only; types, units, ranges and defaults live here. ``config.validate``
refuses unknown keys, wrong types and values out of range, naming the key and the value.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from omegaconf import MISSING


def _bounded(default: float, low: float, high: float) -> Any:  # noqa: ANN401 - a dataclass field is untyped
    """A number that must lie in the closed interval [low, high]."""
    return field(default=default, metadata={"low": low, "high": high})


def _one_of(default: str, *choices: str) -> Any:  # noqa: ANN401
    """A word that must be one of ``choices``."""
    return field(default=default, metadata={"choices": choices})


@dataclass
class File:
    """One raw file of a data set."""

    path: str = MISSING
    """Relative to the project's root; must stay inside it."""
    sha256: str = ""
    """Expected content hash; required for files outside data/, which git does not hold."""
    split: str = _one_of("", "", "train", "validation", "test")
    """Which split all rows of a CSV file belong to; empty when the audit is to make the split."""
    keys: dict[str, str] = field(default_factory=dict)
    """For a JSON file of lists of [text, label] pairs: list name -> split. Lists not named are not
    read."""


@dataclass
class Split:
    """How unsplit rows are split (``Split`` that comes with the data is kept)."""

    test: float = _bounded(0.25, 0.05, 0.5)
    """Share of all rows for the test set, when no file or column brings one."""
    validation: float = _bounded(0.15, 0.02, 0.5)
    """Share of the remaining training rows for validation, when no file or column brings one."""
    seed: int = _bounded(20, 0, 2**31 - 1)
    """Of the split alone: never the training seed."""


@dataclass
class Data:
    """A data set: where it is, who answers for it, and which columns are read."""

    name: str = MISSING
    title: str = ""
    origin: str = "not stated"
    """Who made the data and how."""
    licence: str = "not stated"
    owner: str = "not stated"
    """The role (not the person) that answers for the data."""
    fetch: str = ""
    """The command that brings missing files, named in the error message."""
    files: list[File] = MISSING
    text: str = "text"
    label: str = "label"
    id: str | None = None
    """Column with a unique id; without one, file name and row number make the id."""
    gold: str | None = None
    """Column with the verified label: read by scorers only, never by a stage that learns or
    chooses."""
    created_at: str | None = None
    """Column with the time of the message (ISO 8601)."""
    split_column: str | None = None
    """Column that says train, validation or test; other values are refused."""
    slices: list[str] = field(default_factory=list)
    """Columns by which every score is also broken down."""
    contract: str | None = None
    """Data contract (ODCS) below data/, relative to the root; it describes the first of ``files``,
    and any others like it. Without one only the loader's own checks apply."""
    annotator: str | None = None
    """Column that says who gave the label."""
    annotations: str | None = None
    """CSV below data/ with ``id, annotator, label``: several labels of the same messages."""
    decisions: str | None = None
    """CSV below data/ with ``id, label, text_sha256``: what people decided about rows of the review
    queue, the given label included. Training rows get that label and are doubted no more; those
    that are given ``out_of_scope`` are learnt no more. Validation and test rows get that label as
    well: thresholds are set and scores counted by it; given ``out_of_scope`` they are out of scope
    from then on. ``text_sha256``, the first 16 digits of the
    hash of the message's text, is written by the demo; a decision about another text is refused.
    Where ``id`` names a column it may be left out: a row number alone may mean another message once
    a row is added."""
    synthetic: str | None = None
    """CSV below data/ with ``id, text, label``: training rows that no customer wrote. They are let
    in only if the score on real rows held out does not fall."""
    labelling: str | None = None
    """YAML below data/: labelling functions, a list of ``name, label, pattern`` and, if wanted,
    ``unless``; patterns are regular expressions, searched in the text, case ignored."""
    behaviour: str | None = None
    """YAML below data/: behavioural tests, see ``behaviour``. Without it, four edits that must not
    change a decision are tried."""
    planted: str | None = None
    """CSV below data/ with ``id, kind, detail``: defects on record, for scoring the checks only."""
    out_of_scope: str | None = None
    """A label that is not an intent: its rows are kept out of training and reported apart."""
    max_characters: int = _bounded(20_000, 1, 10_000_000)
    """A longer message is refused: it is a document or an accident."""
    sample: int = _bounded(0, 0, 10**9)
    """Rows drawn at random, to try things out on a part; 0: all."""
    split: Split = field(default_factory=Split)


@dataclass
class Encoder:
    """The frozen sentence encoder and how it is run."""

    package: str = MISSING
    """Installed package that carries the weights, or the path of a folder of this project."""
    folder: str = "model"
    """Where in it they are."""
    sha256: str = MISSING
    """Of model.safetensors; checked at load."""
    max_length: int = _bounded(128, 8, 512)
    """Tokens; the rest of a message is cut off."""
    batch_size: int = _bounded(64, 1, 4096)
    threads: int = _bounded(2, 1, 256)
    """Torch intra-op threads: explicit, because results are promised bit-identical on one machine
    only."""
    accelerator: str = _one_of("auto", "auto", "cpu", "gpu")
    """``auto`` uses a GPU when there is one."""


@dataclass
class Audit:
    """Whether the data can be trusted."""

    as_of: str = MISSING
    """The date (YYYY-MM-DD) on which freshness is judged: stated, so that a re-run gives the same
    report."""
    jaccard: float = _bounded(0.8, 0.1, 1.0)
    """Near-duplicates: Jaccard similarity of character shingles at or above this."""
    shingle: int = _bounded(5, 2, 12)
    """Characters per shingle."""
    permutations: int = _bounded(128, 16, 1024)
    """MinHash permutations that find candidates; every candidate is then verified exactly."""
    min_rows: int = _bounded(4, 3, 1000)
    """Fewest distinct messages (near-copies count once) a class may have."""
    tail_rows: int = _bounded(40, 1, 1_000_000)
    """A class with fewer training rows counts as long tail."""
    max_breaches: float = _bounded(0.01, 0.0, 1.0)
    """Accepted share of rows that break the data contract: they are set aside; more stop the
    run."""
    twin: float = _bounded(0.95, 0.5, 1.0)
    """Cosine of two sentence vectors from which messages count as saying the same."""
    embed_rows: int = _bounded(100_000, 0, 10**9)
    """With more rows than this the audit goes without sentence vectors."""
    recent: float = _bounded(1 / 6, 0.01, 0.5)
    """The last share of the dated period, which is held against what came before."""
    permutation_draws: int = _bounded(400, 19, 100_000)
    """Random divisions behind each p-value of the drift tests."""
    drift_controls: int = _bounded(60, 0, 10_000)
    """Random divisions that are tested like real ones, to count false alarms."""
    seed: int = _bounded(0, 0, 2**31 - 1)
    """Of everything the audit draws, but for the split."""
    length_edges: list[int] = field(default_factory=lambda: [8, 25, 60])
    """Word counts that separate the length slices."""


@dataclass
class Lora:
    """Low-rank adapters (Hu et al. 2021)."""

    r: int = _bounded(16, 1, 512)
    """Rank."""
    alpha: float = _bounded(32, 0.1, 4096)
    """Scale; the update is multiplied by alpha / r."""
    dropout: float = _bounded(0.0, 0.0, 0.9)
    target_modules: list[str] = field(default_factory=lambda: ["query", "key", "value", "dense"])
    layers: int = _bounded(0, 0, 1000)
    """Topmost layers that get adapters, 0 for all. What lies below them is frozen, so its output is
    computed once for all epochs."""


@dataclass
class Trainer:
    """How many processes train one network (DDP: Li et al. 2020), each on its part of every batch.

    What is learned does not depend on them, but for dropout and rounding. Tested: one process and
    two on one CPU machine, also from a notebook; two "nodes" and ``torchrun`` there, by hand. Not
    tested: several GPUs, several machines, SLURM.
    """

    devices: int = _bounded(1, 1, 1024)
    """Processes on each node: GPUs, or on a CPU processes that share ``encoder.threads``."""
    strategy: str = _one_of("auto", "auto", "ddp")
    """``auto``: the processes are started here, from a notebook too; a killed training goes on if
    all are on one node. ``ddp``: a script is run by ``torchrun`` or SLURM, and Lightning takes
    the processes from there; for ``training.fit`` in a script of one's own, not for the pipeline.
    Every trained weight must play a part in the loss, as all adapters and class vectors do."""
    num_nodes: int = _bounded(1, 1, 1024)
    """Machines. With ``auto`` the same command runs on each, with MASTER_ADDR and MASTER_PORT of
    the first and NODE_RANK (0, 1, …) set; training then always begins from the start."""


@dataclass
class Finetune:
    """What a LoRA-tuned small transformer scores."""

    lora: Lora = field(default_factory=Lora)
    trainer: Trainer = field(default_factory=Trainer)
    learning_rate: float = _bounded(1.5e-3, 1e-6, 1.0)
    weight_decay: float = _bounded(0.01, 0.0, 1.0)
    warmup: float = _bounded(0.06, 0.0, 0.9)
    """Share of the steps over which the learning rate rises; it then falls linearly to zero."""
    batch_size: int = _bounded(32, 1, 4096)
    max_epochs: int = _bounded(20, 1, 1000)
    max_steps: int = _bounded(1600, 1, 10_000_000)
    """No epoch begins after this many steps: large data sets are passed over fewer times."""
    patience: int = _bounded(5, 1, 1000)
    """Epochs without a better validation accuracy before training stops."""
    label_smoothing: float = _bounded(0.1, 0.0, 0.9)
    token_dropout: float = _bounded(0.0, 0.0, 0.9)
    """Share of a message's tokens that each training step hides."""
    interpolation: float = _bounded(1.0, 0.0, 1.0)
    """Where the weights end between the start (0) and what was learnt (1)."""
    networks: int = _bounded(1, 1, 10)
    """Trainings that differ by chance alone; their weights are averaged into one network (model
    soup). Training takes as many times as long and the adapter's file is as many times as large;
    the merged model is as fast and as small as one."""
    scale: float = _bounded(20.0, 1.0, 200.0)
    """Logits are scale x cosine(message, class vector)."""
    behaviour_rows: int = _bounded(150, 1, 1_000_000)
    """Test messages that each behavioural test changes."""
    checkpoint_steps: int = _bounded(50, 1, 1_000_000)
    """Steps between checkpoints: what a killed training loses at most, of each of its networks."""
    precision: str = _one_of("32-true", "32-true", "bf16-mixed", "16-mixed")
    """Explicit, never guessed from the machine."""


@dataclass
class Tuned:
    """A LoRA-tuned network as one of the detectors of wrong labels."""

    folds: int = _bounded(0, 0, 20)
    """Each row is judged by a network tuned on the other folds; 0: no such detector."""
    recipe: Finetune = field(default_factory=Finetune)
    """Its training; no row decides when to stop, so all epochs are run."""


@dataclass
class Clean:
    """Which labels are wrong, and does fixing them help."""

    folds: int = _bounded(5, 2, 20)
    C: float = _bounded(10.0, 1e-4, 1e4)
    """Inverse regularisation of the probe that yields out-of-fold probabilities."""
    rounds: int = _bounded(1, 0, 10)
    """Times the detectors learn anew without the rows that they doubt."""
    resamples: int = _bounded(2000, 20, 100_000)
    """Paired bootstrap resamples for the gain of an arm on validation rows."""
    queue: int = _bounded(100, 1, 100_000)
    """Rows in the review queue that are there because their label is doubted."""
    sample: int = _bounded(100, 0, 100_000)
    """Rows behind them, spread evenly over the rest of the ranking: looked at, they say how many
    labels are wrong. As many at most are drawn of the validation and of the test rows."""
    tuned: Tuned = field(default_factory=Tuned)


@dataclass
class Keyword:
    """Keyword rules mined from the training rows."""

    terms: int = _bounded(12, 1, 1000)
    """Keywords per class."""


@dataclass
class Tfidf:
    """Character and word TF-IDF with a linear classifier."""

    C: float = _bounded(10.0, 1e-4, 1e4)


@dataclass
class Boosted:
    """Gradient-boosted trees on compressed TF-IDF."""

    components: int = _bounded(64, 2, 1024)
    iterations: int = _bounded(40, 1, 5000)
    leaves: int = _bounded(8, 2, 256)
    learning_rate: float = _bounded(0.1, 1e-4, 1.0)


@dataclass
class Static:
    """Logistic regression on the mean of static word vectors."""

    words: int = _bounded(10_000, 1, 1_000_000)
    """Most frequent words of the training rows: each costs one pass through the encoder."""
    dimensions: int = _bounded(256, 1, 4096)
    """Principal components kept; no more than the encoder's own dimensions."""
    smoothing: float = _bounded(0.03, 1e-6, 1e6)
    """A word of relative frequency p counts smoothing / (smoothing + p); large: all words alike.
    The default, and frequencies from training rows, were chosen on validation rows of helpdesk and
    BANKING77."""
    C: float = _bounded(10.0, 1e-4, 1e4)


@dataclass
class Neighbours:
    """Nearest neighbours on frozen embeddings."""

    k: int = _bounded(15, 1, 1000)
    temperature: float = _bounded(0.05, 1e-3, 10.0)
    """Votes are weighted by exp(cosine / temperature)."""


@dataclass
class Probe:
    """Logistic regression on frozen embeddings."""

    C: float = _bounded(10.0, 1e-4, 1e4)


@dataclass
class Endpoint:
    """A large model behind an OpenAI-compatible endpoint: every judged message is sent there.

    The word ``endpoint`` in ``baseline.architectures`` turns it on. Answers are kept in
    scratch/endpoint/, and asked for (and paid) anew only once that is deleted, or in a checkout of
    its own, as ``dvc exp run --temp`` and ``--queue`` make one.
    """

    base_url: str = "https://api.openai.com/v1"
    """Without name, password or query: the key comes from the environment alone."""
    model: str = ""
    """The model's name, as the endpoint spells it."""
    form: str = _one_of("chat", "chat", "decisions")
    """``chat`` asks for the number of a class, and has no probabilities but 1 for it; ``decisions``
    (POST /decisions, which few servers have) asks for a probability of each class."""
    shots: int = _bounded(0, 0, 100)
    """Training messages of each class that are sent along as examples; 0: none."""
    temperature: float | None = 0.0
    """Of the chat form; null sends none, for models that refuse it."""
    output_tokens: int = _bounded(16, 1, 100_000)
    """Most tokens of an answer in the chat form; a model that reasons first needs thousands."""
    key_variable: str = "OPENAI_API_KEY"
    """The environment variable that holds the key, never the key; empty: the server asks none."""
    timeout: float = _bounded(60.0, 0.1, 3600.0)
    """Seconds that each try may take, from connecting to the last byte."""
    retries: int = _bounded(4, 0, 20)
    """Further tries, ever later, after a timeout, a lost or refused connection, HTTP 429 or
    5xx."""
    concurrency: int = _bounded(4, 1, 64)
    """Messages asked at a time."""
    max_calls: int = _bounded(5000, 1, 10**9)
    """No call is made after this many, those of earlier runs with the same prompt included."""
    input_price: float = _bounded(10.0, 0.0, 10_000.0)
    """Per million input tokens. Both prices are too high on purpose: put your provider's here, or 0
    for a server of your own."""
    output_price: float = _bounded(40.0, 0.0, 10_000.0)
    """Per million output tokens."""
    max_spend: float = _bounded(1.0, 0.001, 1_000_000.0)
    """No call is made once this much is spent, earlier runs with the same prompt included; calls
    under way (``concurrency``) still end with their retries. Tries without an answer that the
    server may charge for (too long, broken off, HTTP 5xx) count as all bytes sent and the longest
    answer; prices are those above, so it is no promise about the bill."""


ARCHITECTURES = (
    "majority", "keyword", "tfidf", "static", "pool", "boosted", "neighbours", "probe", "endpoint"
)  # fmt: skip
"""What may be compared with the fine-tuned model."""


@dataclass
class Baseline:
    """What simple methods score."""

    architectures: list[str] = MISSING
    """Names of ``ARCHITECTURES``; ``baseline.ARCHITECTURES`` has the class of each."""
    keyword: Keyword = field(default_factory=Keyword)
    tfidf: Tfidf = field(default_factory=Tfidf)
    boosted: Boosted = field(default_factory=Boosted)
    static: Static = field(default_factory=Static)
    neighbours: Neighbours = field(default_factory=Neighbours)
    probe: Probe = field(default_factory=Probe)
    endpoint: Endpoint = field(default_factory=Endpoint)


@dataclass
class Evaluate:
    """Which model is better, surely, and for whom."""

    resamples: int = _bounded(1000, 20, 100_000)
    confidence: float = _bounded(0.95, 0.5, 0.999)
    bins: int = _bounded(15, 2, 100)
    """Equal-width bins of the expected calibration error."""
    confusions: int = _bounded(10, 1, 1000)
    slice_rows: int = _bounded(20, 1, 1_000_000)
    """Slices with fewer test rows are listed, but marked too small to judge."""
    target_risk: float = _bounded(0.05, 0.001, 1.0)
    """Accepted error rate among automated messages. The threshold is fixed on validation rows,
    which have to show it with 90 % confidence: 0.05 takes 45 of them without an error."""
    cascade_loss: float = _bounded(0.003, 0.0, 1.0)
    """Accuracy that may be lost on validation rows if a cheap model answers what it is sure of."""


@dataclass
class Api:
    """A large model by API, priced by the token; not run here, so it has no accuracy.

    The prices are assumptions from public listings: put your provider's list price here.
    """

    name: str = MISSING
    prices_as_of: str = MISSING
    """Date of this price (YYYY-MM-DD)."""
    source: str = MISSING
    """Where the price was read."""
    input_tokens: int = _bounded(900, 1, 1_000_000)
    """Per message: instructions, label list and the message."""
    output_tokens: int = _bounded(8, 1, 100_000)
    """Per message: a label alone. A model that reasons before it answers is billed for hundreds to
    thousands more, unless that is switched off."""
    input_price: float = _bounded(MISSING, 0.0, 1000.0)
    """Per million input tokens."""
    output_price: float = _bounded(MISSING, 0.0, 1000.0)
    """Per million output tokens."""


@dataclass
class Cost:
    """What it will cost a month."""

    currency: str = "USD"
    prices_as_of: str = MISSING
    """Date of the prices (YYYY-MM-DD)."""
    volume: int = _bounded(100_000, 1, 10**12)
    """Messages a month."""
    peak: float = _bounded(6.0, 1.0, 1000.0)
    """Busiest second divided by the mean second."""
    utilisation: float = _bounded(0.5, 0.01, 1.0)
    """Share of an instance's measured throughput that is planned for."""
    instances: int = _bounded(1, 1, 10_000)
    """Fewest instances kept running, whatever the load."""
    instance: str = MISSING
    """What is rented; its price is set against the machine described in the timings reference."""
    instance_price: float = _bounded(MISSING, 0.0, 1000.0)
    """Per instance-hour: an assumption to edit, as every price here is."""
    storage_price: float = _bounded(0.023, 0.0, 1000.0)
    """Per GB and month."""
    retrainings: float = _bounded(1.0, 0.0, 1000.0)
    """Training runs a month."""
    restarts: float = _bounded(8.0, 0.0, 100_000.0)
    """Planned restarts of an instance a month (releases, patches)."""
    error_price: float = _bounded(MISSING, 0.0, 1_000_000.0)
    """What one misrouted message costs (a second look by an agent): an assumption."""
    routing_price: float = _bounded(MISSING, 0.0, 1_000_000.0)
    """What it costs that a person reads one message and routes it: an assumption."""
    factors: list[float] = field(default_factory=lambda: [0.5, 2.0])
    """Each assumption is multiplied by these in the sensitivity table; all above 0."""
    apis: list[Api] = field(default_factory=list)


@dataclass
class Criterion:
    """One success criterion, judged from an evidence file."""

    name: str = MISSING
    question: str = MISSING
    """What a stakeholder asks."""
    evidence: str = MISSING
    """One of the records that the stage depends on (``readiness.ALLOWED``)."""
    metric: str = MISSING
    """Dotted path in that file."""
    direction: str = _one_of("at_least", "at_least", "at_most")
    threshold: float = MISSING
    baseline: str | None = None
    """Dotted path of the baseline's value in the same file: then the difference to it is judged."""
    unit: str = ""
    why: str = MISSING
    """Why this threshold."""
    owner: str = MISSING
    """The role that answers for it."""


@dataclass
class Outcome:
    """The business outcome that the feature should move."""

    statement: str = MISSING
    measure: str = MISSING
    today: str = MISSING
    target: str = MISSING
    owner: str = MISSING


@dataclass
class Readiness:
    """May it go on the road."""

    outcome: Outcome = field(default_factory=Outcome)
    criteria: list[Criterion] = MISSING


@dataclass
class Track:
    """Where runs are mirrored; the record is the JSON under reports/."""

    mode: str = _one_of("offline", "offline", "online", "disabled")
    project: str = "roadworthy"


@dataclass
class Settings:
    """The whole of params.yaml."""

    data: Data = field(default_factory=Data)
    encoder: Encoder = field(default_factory=Encoder)
    audit: Audit = field(default_factory=Audit)
    clean: Clean = field(default_factory=Clean)
    baseline: Baseline = field(default_factory=Baseline)
    finetune: Finetune = field(default_factory=Finetune)
    evaluate: Evaluate = field(default_factory=Evaluate)
    cost: Cost = field(default_factory=Cost)
    readiness: Readiness = field(default_factory=Readiness)
    track: Track = field(default_factory=Track)
    seed: int = _bounded(0, 0, 2**31 - 1)
