"""``python -m roadworthy COMMAND``: the commands behind dvc.yaml and the Makefile.

Exit codes: 0 success (``readiness``: go), 1 failure (``readiness``: no-go or unknown; ``watch``:
an alarm), 2 user error.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path

from roadworthy.errors import UserError

MODULES = {"run": "notebooks", "report": "html"}
"""The module behind a command, where it has another name."""
CALLS = {
    "code": ("freeze",),
    "config": ("refresh", "overrides", "check"),
    "croissant": ("refresh",),
    "demo": ("serve", "port"),
    "explain": ("run", "text"),
    "predict": ("run", "file", "out", "engine", "text"),
    "readiness": ("verdict",),
    "readme": ("refresh", "check"),
    "report": ("write",),
    "timings": ("measure",),
    "watch": ("run", "file", "labels", "text"),
}
"""The function behind a command, and the options that it is given."""


def use_own_source() -> None:
    """Start again with src/ of the project that holds the working directory, if need be.

    In ``dvc exp run --temp`` and ``--queue`` the working directory is a checkout of the experiment,
    while an editable install points at the main workspace: an experiment must run its own code.
    """
    here = Path.cwd()
    for folder in (here, *here.parents):
        source = folder / "src"
        if (folder / "dvc.yaml").exists() and (source / "roadworthy" / "__main__.py").exists():
            if (
                source.resolve() != Path(__file__).resolve().parents[1]
                and "ROADWORTHY_SOURCE" not in os.environ
            ):
                path = os.pathsep.join(
                    filter(None, [str(source), os.environ.get("PYTHONPATH", "")])
                )
                environment = os.environ | {"PYTHONPATH": path, "ROADWORTHY_SOURCE": str(source)}
                os.execve(
                    sys.executable, [sys.executable, "-m", "roadworthy", *sys.argv[1:]], environment
                )
            return


def whole(least: int, most: int | None = None) -> Callable[[str], int]:
    """A reader of whole numbers for the command line, which refuses smaller and larger ones."""
    span = f"from {least} on" if most is None else f"from {least} to {most}"

    def read(text: str) -> int:
        known = text.lstrip("-").isdecimal()
        if not known or int(text) < least or (most is not None and int(text) > most):
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number {span}")
        return int(text)

    return read


def parser() -> argparse.ArgumentParser:
    """The command line."""
    top = argparse.ArgumentParser(prog="python -m roadworthy", description=__doc__)
    commands = top.add_subparsers(dest="command", required=True)
    config = commands.add_parser("config", help="compose conf/ into params.yaml")
    config.add_argument(
        "--check", action="store_true", help="only compare; exit code 1 if they differ"
    )
    config.add_argument("overrides", nargs="*", help="Hydra overrides, e.g. data=banking77")
    commands.add_parser("code", help="freeze the notebooks' code")
    run = commands.add_parser("run", help="run one stage's notebook")
    run.add_argument("stage")
    _measurements(commands)
    commands.add_parser("readiness", help="print the verdict; exit code 0 go, 1 no-go or unknown")
    predict = commands.add_parser("predict", help="decide about the messages of a CSV file")
    for name, text in (("file", "CSV with messages"), ("out", "CSV to write, a decision a row")):
        predict.add_argument(name, help=text)
    engines = ("torch", "fp32", "int8")
    predict.add_argument("--engine", choices=engines, default="torch", help="or `make export`'s")
    predict.add_argument("--text", help="the column of the messages, if called otherwise")
    explain = commands.add_parser("explain", help="decide about one message, and say why")
    explain.add_argument("text", help="the message, in quotes")
    watch = commands.add_parser("watch", help="later messages beside the test rows; code 1: alarm")
    watch.add_argument("file", help="CSV with messages, and dates where there are any")
    watch.add_argument("--labels", help="CSV with the labels of some of them, by id or by row")
    watch.add_argument("--text", help="the column of the messages, if called otherwise")
    commands.add_parser("croissant", help="describe the data set for catalogues, from its contract")
    commands.add_parser("report", help="HTML of the executed notebooks, in reports/html/")
    readme = commands.add_parser("readme", help="regenerate the README's results table")
    readme.add_argument(
        "--check", action="store_true", help="only compare; exit code 1 if they differ"
    )
    demo = commands.add_parser("demo", help="the demo page over the trained model")
    demo.add_argument("--port", type=int, default=7860)
    return top


def _measurements(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """The commands beside the pipeline that measure, most of them for hours."""
    some, seed = whole(1), whole(0, 2**31 - 1)  # as the settings bound theirs
    commands.add_parser("timings", help="measure latency and throughput on this machine")
    noise = commands.add_parser("noise_benchmark", help="inject wrong labels, see what is found")
    noise.add_argument("overrides", nargs="*", default=["data=banking77"])
    noise.add_argument("--rates", type=float, nargs="+", default=[0.05, 0.1, 0.2, 0.4])
    noise.add_argument("--draws", type=some, default=3)
    noise.add_argument(
        "--tuned",
        dest="tuned_rates",
        type=float,
        nargs="*",
        default=[0.2],
        help="rates with the fine-tuned detector",
    )
    bench = commands.add_parser("benchmark", help="published data sets, several seeds")
    bench.add_argument("overrides", nargs="*", help="Hydra overrides, e.g. finetune.lora.r=16")
    bench.add_argument("--data", nargs="+", default=["banking77", "clinc150", "clinc150_plus"])
    bench.add_argument("--seeds", type=seed, nargs="+", default=[0, 1, 2])
    bench.add_argument("--shots", type=some, nargs="*", default=[5, 10], help="labels a class")
    parts = commands.add_parser("ablation", help="what each part of the recipe is worth")
    parts.add_argument("overrides", nargs="*", help="Hydra overrides, e.g. finetune.max_steps=1000")
    parts.add_argument("--data", default="banking77")
    parts.add_argument("--arms", nargs="+", help="as in the table; else all")
    parts.add_argument("--seeds", type=seed, nargs="+", default=[0, 1, 2])
    scaling = commands.add_parser("scaling", help="time the audit on more and more rows")
    scaling.add_argument("--rows", type=some, nargs="+", default=[10_000, 100_000, 1_000_000])
    scaling.add_argument("--one", type=some, help=argparse.SUPPRESS)
    rivals = commands.add_parser("rivals", help="measure beside what one would pick instead")
    usual = ["data=banking77", "finetune=long", "finetune.max_steps=1400"]
    rivals.add_argument("overrides", nargs="*", default=usual)
    rivals.add_argument("--threads", type=some, default=1, help="of every model alike")
    rivals.add_argument("--one", help=argparse.SUPPRESS)
    export = commands.add_parser("export", help="the fine-tuned model as ONNX, fp32 and int8")
    export.add_argument("--time", help=argparse.SUPPRESS)


Said = tuple[object, int]
"""What a command has to say, None if nothing, and its exit code."""


def _said(result: object) -> Said:
    """A command's message with its code; 0 where it gives none."""
    return (result[0], int(result[1])) if isinstance(result, tuple) else (result, 0)


def dispatch(options: argparse.Namespace) -> Said:
    """Run one command; modules are imported when needed, so that each command starts fast."""
    module = importlib.import_module(f"roadworthy.{MODULES.get(options.command, options.command)}")
    match options.command:
        case "run":
            return None, int(module.run(options.stage))
        case "noise_benchmark" | "benchmark" | "ablation":
            own = {name: value for name, value in vars(options).items() if name != "command"}
            return _said(module.run(**own))
        case "scaling":
            return _said(module.measured(options.one) if options.one else module.run(options.rows))
        case "rivals":
            same = (options.overrides, options.threads)
            return _said(module.measured(options.one, *same) if options.one else module.run(*same))
        case "export":
            return _said(module.timed(options.time) if options.time else module.run())
        case _:
            function, *names = CALLS[options.command]
            return _said(getattr(module, function)(*(getattr(options, name) for name in names)))


def main() -> int:
    """Entry point: a user error is one message and exit code 2, never a traceback."""
    # OpenMP reads it when it is loaded, so before anything imports torch or scikit-learn: threads
    # that spin while they wait make two processes beside each other several times as slow.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    use_own_source()
    code = 1
    try:
        # The code is settled before anything is printed: it is the same whoever reads.
        message, code = dispatch(parser().parse_args())
        if message is not None:
            print(message)
        sys.stdout.flush()
    except UserError as error:
        print(f"roadworthy: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # the reader, `head` say, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    return code


if __name__ == "__main__":
    sys.exit(main())
