"""`vla dataset`: recordings into training data."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich_argparse import RawDescriptionRichHelpFormatter

from mobile_vla.errors import UserError
from mobile_vla_cli.flags import check_numbers
from mobile_vla_cli.render import print_json
from mobile_vla_cli.screen_text import plain

HELP = "Turn recordings into training data: aligned episodes with a manifest, checked, split by episode, exported."
EPILOG = """vla dataset build recordings/* --out data/lab
vla dataset check data/lab
vla dataset export data/lab --format lerobot --out data/lab_lerobot
vla dataset import episode.h5 --out recordings/old --instruction "go to the door" """
_LEAST_HZ, _MAX_HZ = 0.001, 1000
FORMATS = ("lerobot", "hdf5", "npz")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", dest="dataset", required=True)

    def command(name: str, help_line: str, run: Any, epilog: str) -> argparse.ArgumentParser:
        made = commands.add_parser(
            name, help=help_line, description=help_line, epilog=epilog, formatter_class=RawDescriptionRichHelpFormatter
        )
        made.set_defaults(run=run)
        return made

    build = command("build", "Cut bags into aligned episodes.", _build, "vla dataset build recordings/* --out data/lab")
    build.add_argument("bags", metavar="BAG", nargs="+", type=Path, help="bag folders or files")
    build.add_argument("--out", type=Path, required=True, metavar="DIR", help="new folder for the data set")
    build.add_argument(
        "--rate-hz", type=float, default=10.0, metavar="X", help="frames per second; 0: all (default: 10)"
    )
    build.add_argument(
        "--width", type=int, default=0, metavar="PX", help="scale pictures to this width; 0: as recorded"
    )
    build.add_argument(
        "--delay-ms", type=float, default=0.0, metavar="X", help="how much later than its image a command came"
    )
    build.add_argument("--tolerance-ms", type=float, default=100.0, metavar="X", help="how far from that it may be")
    build.add_argument("--instruction", default="", metavar="TEXT", help="instead of the recorded instruction")
    build.add_argument("--who", default="any", choices=("any", "teleop", "autonomy"), help="whose driving is kept")
    build.add_argument("--least-frames", type=int, default=20, metavar="N", help="shorter episodes are left out")
    build.add_argument("--val-share", type=float, default=0.1, metavar="X", help="share of episodes for validation")
    build.add_argument("--test-share", type=float, default=0.1, metavar="X", help="share of episodes for testing")
    build.add_argument("--seed", type=int, default=0, metavar="N", help="which episodes go where")
    for role in ("image", "command"):
        build.add_argument(f"--{role}-topic", default="", metavar="TOPIC", help=f"the {role} topic, where two fit")
    check = command(
        "check",
        "Find what is wrong with a data set; exit 1 when it must not be used.",
        _check,
        "vla dataset check data/lab",
    )
    check.add_argument("dataset_folder", metavar="DIR", type=Path, help="a data set made by build")
    check.add_argument("--json", action="store_true", help="print JSON")
    export = command(
        "export",
        "Write a data set in another format.",
        _export,
        "vla dataset export data/lab --format hdf5 --out data/h5",
    )
    export.add_argument("dataset_folder", metavar="DIR", type=Path, help="a data set made by build")
    export.add_argument("--format", required=True, choices=FORMATS, help="lerobot: LeRobotDataset v3.0")
    export.add_argument("--out", type=Path, required=True, metavar="DIR", help="new folder")
    bring = command(
        "import", "Make bags of HDF5 episodes (images, actions).", _import, "vla dataset import e.h5 --out bags/e"
    )
    bring.add_argument("files", metavar="FILE", nargs="+", type=Path, help=".h5 episodes")
    bring.add_argument(
        "--out", type=Path, required=True, metavar="DIR", help="new bag; with several files a folder of bags"
    )
    bring.add_argument(
        "--rate-hz", type=float, default=10.0, metavar="X", help="where the file does not say its duration"
    )
    bring.add_argument("--instruction", default="", metavar="TEXT", help="where the file carries none")


def _build(args: argparse.Namespace) -> int:
    from mobile_vla.bags.dataset.build import BuildOptions, build

    for name in ("val_share", "test_share"):
        if not 0 <= vars(args)[name] < 0.5:
            raise UserError(f"--{name.replace('_', '-')} must be from 0 to below 0.5, got {vars(args)[name]:g}")
    check_numbers(args, ("rate_hz", "delay_ms", "tolerance_ms", "width", "seed"), signed=("delay_ms",))
    names = [name for name in BuildOptions._fields if name in vars(args)]
    options = BuildOptions(**{name: vars(args)[name] for name in names})
    chosen = {role: name for role in ("image", "command") if (name := vars(args)[f"{role}_topic"])}
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    manifest = build(
        args.bags,
        args.out,
        options,
        chosen=chosen,
        on_episode=lambda entry: console.print(
            f"{entry.file}: {entry.frames} frames, {entry.instruction}", markup=False
        ),
    )
    counts = ", ".join(f"{len(manifest.of_split(name))} {name}" for name in ("train", "val", "test"))
    say = Console(highlight=False, soft_wrap=True).print
    say(f"{args.out}: {len(manifest.episodes)} episodes ({counts}), {manifest.width}x{manifest.height}")
    for reason, count in manifest.left_out.items():
        say(f"  left out: {count} frames {reason}")
    for sentence in manifest.damage:
        say(f"  {sentence}", markup=False)
    return 0


def _check(args: argparse.Namespace) -> int:
    from mobile_vla.bags.dataset.check import check
    from mobile_vla.bags.dataset.manifest import load_manifest

    manifest = load_manifest(args.dataset_folder)
    findings = check(manifest)
    bad = any(finding.level == "error" for finding in findings)
    if args.json:
        print_json(
            {
                "usable": not bad,
                "findings": [{"level": one.level, "what": one.what, "sentence": one.message} for one in findings],
                **manifest.statistics,
            }
        )
        return int(bad)
    console = Console(highlight=False, soft_wrap=True)
    for finding in findings:
        color = "red" if finding.level == "error" else "yellow"
        console.print(f"[{color}]{finding.level}[/] {plain(finding.message)}")
    console.print(verdict([finding.level for finding in findings]))
    return int(bad)


def verdict(levels: list[str]) -> str:
    """The last line of the check, from the levels of its findings."""
    warnings = levels.count("warning")
    if "error" in levels:
        return "not usable: correct the errors first"
    if warnings:
        return f"usable, but read the warning{'s' if warnings > 1 else ''} above first"
    return "usable: nothing was found"


def _export(args: argparse.Namespace) -> int:
    from mobile_vla.bags.dataset.manifest import load_manifest

    manifest = load_manifest(args.dataset_folder)
    if args.out.exists() and (not args.out.is_dir() or any(args.out.iterdir())):
        raise UserError(f"{args.out} exists and is not an empty folder; name a new one, nothing is overwritten")
    if args.format == "lerobot":
        from mobile_vla.bags.dataset import lerobot

        rate = manifest.built.get("rate_hz", 0.0)
        if not isinstance(rate, (int, float)) or not 0 < rate < _MAX_HZ or rate != round(rate):
            raise UserError(
                f"lerobot needs a constant whole rate, the data set was built with rate_hz {rate!r:.40}; build it again"
            )
        lerobot.export(manifest, args.out, fps=round(rate))
    elif args.format == "hdf5":
        from mobile_vla.bags.dataset import hdf5

        hdf5.export(manifest, args.out)
    else:
        from mobile_vla.bags.dataset import export_npz

        export_npz.export(manifest, args.out)
    Console(highlight=False, soft_wrap=True).print(f"{args.out}: {len(manifest.episodes)} episodes as {args.format}")
    return 0


def _import(args: argparse.Namespace) -> int:
    from mobile_vla.bags.dataset.hdf5 import import_episode

    if not _LEAST_HZ <= args.rate_hz <= _MAX_HZ:
        raise UserError(f"--rate-hz must be from {_LEAST_HZ} to {_MAX_HZ}, got {args.rate_hz:g}")
    for path in args.files:
        folder = args.out if len(args.files) == 1 else args.out / path.stem
        import_episode(path, folder, args.rate_hz, args.instruction)
        Console(highlight=False, soft_wrap=True).print(f"{folder}", markup=False)
    return 0
