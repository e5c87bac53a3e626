"""The scripts of analysis/ that show TNM files: as a user runs them, on a small file."""

import csv
import os
import re
import subprocess
import sys
from pathlib import Path

import h5py
import pytest

ROOT = Path(__file__).parents[2]
AS2SE3 = ("-79.21", "318440", "0.57", "0.71")


def python(*arguments):
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "HPCTOOLS_THREADS": "1"}
    return subprocess.run(
        [sys.executable, *map(str, arguments)], cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120
    )


def script(name, *arguments):
    return python(f"analysis/{name}.py", *arguments)


def script_without_mpi(name, *arguments):
    """A script that must not import MPI: it may run on a login node."""
    done = python("-X", "importtime", f"analysis/{name}.py", *arguments)
    assert re.search(r"\| +numpy\n", done.stderr)
    if not h5py.get_config().mpi:  # where h5py has MPI, it imports it itself
        assert "mpi4py" not in done.stderr
    return done


def is_picture(path):
    """A PNG of a real size whose pixels are not all alike."""
    from matplotlib.image import imread

    picture = imread(path)
    return min(picture.shape[:2]) > 400 and picture[..., :3].std() > 0.03


def rows(text, head):
    """The cells of the Markdown tables that begin with a column."""
    lines = text.splitlines()
    found = []
    for start in (i for i, line in enumerate(lines) if re.match(rf"\| *{re.escape(head)} *\|", line)):
        for line in lines[start + 2 :]:
            if not line.startswith("|"):
                break
            found.append([cell.strip() for cell in line.strip("|").split("|")])
    return found


@pytest.fixture(scope="module")
def grid_file(tmp_path_factory):
    """80 nodes with 3 x and 3 β each."""
    path = tmp_path_factory.mktemp("grid") / "tiny.h5"
    done = python(
        "-m", "hpctools.tnm", "--subset", "G", "--stride-x", "20", "--stride-beta", "20", "--layout", "files",
        "--out", path,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return path


@pytest.fixture(scope="module")
def signals(grid_file):
    """Three samples of a file and a simulated one."""
    out, table = grid_file.parent / "new" / "signals.png", grid_file.parent / "signals.csv"
    done = script_without_mpi(
        "tnm_signals", grid_file, "--sample", "0", "406", "--index", "13752260", "--parameters", *AS2SE3,
        "--out", out, "--csv", table,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done, out, table


def test_signals_figure(signals):
    _, out, _ = signals
    assert is_picture(out)


def test_signals_table(signals):
    done, _, _ = signals
    found = rows(done.stdout, "cooling, K/min")
    assert len(found) == 4 * 6
    assert [row[0] for row in found[:6]] == ["0.5", "1", "2", "5", "10", "20"]
    simulated = found[-6:]
    peaks = [float(row[1]) for row in simulated]
    assert peaks == pytest.approx([2.611, 2.220, 1.916, 1.625, 1.474, 1.369], abs=2e-3)
    for row in simulated:
        assert float(row[5]) == pytest.approx(float(row[6]), abs=0.02)
    assert float(simulated[4][5]) + 273.15 == pytest.approx(453.55, abs=0.02)
    assert "index 13752260" in done.stdout
    laws = re.findall(r"Δh\* = ([\d.]+) ± ([\d.]+) \(fit\) kJ/mol; true ([\d.]+)", done.stdout)
    assert len(laws) == 4
    assert float(laws[-1][0]) == pytest.approx(318.44, rel=5e-3)


def test_signals_csv(signals):
    done, _, path = signals
    with open(path, newline="", encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert len(table) == 4 * 6
    printed = rows(done.stdout, "cooling, K/min")
    for row, line in zip(table, printed):
        assert float(row["cooling_rate_K_per_min"]) == float(line[0])
        assert float(row["cpn_max"]) == pytest.approx(float(line[1].split()[0]), rel=1e-4)
    assert float(table[-1]["dh"]) == 318440


def test_signals_without_a_file_as_pdf(tmp_path):
    done = script("tnm_signals", "--parameters", *AS2SE3, "--out", tmp_path / "a.pdf")
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "a.pdf").read_bytes()[:5] == b"%PDF-"
    assert len(rows(done.stdout, "cooling, K/min")) == 6


def test_grid_map_of_a_file(grid_file, tmp_path):
    done = script_without_mpi("tnm_grid_map", grid_file, "--out", tmp_path / "map.png")
    assert done.returncode == 0, done.stderr
    assert is_picture(tmp_path / "map.png")
    table = {row[0]: row for row in rows(done.stdout, "subset")}
    assert list(table) == ["all", "LU", "RU", "LD", "RD", "C", "G", str(grid_file)]
    assert table["all"][2:4] == ["8,181", "13,752,261"]
    assert table["C"][2:4] == ["121", "203,401"]
    assert table[str(grid_file)][2:4] == ["80", "720"]
    spans = {name: (row[6], row[8]) for name, row in table.items()}
    assert spans["LD"] == ("115", "27") and spans["C"] == ("69", "74") and spans["RU"][1] == "465"
    assert "not of the paper's space" not in done.stdout


def test_grid_map_of_other_nodes(tmp_path):
    (tmp_path / "nodes.csv").write_text("dh,ln_a\n318440,-79.21\n450000,-150\n")
    made = python(
        "-m", "hpctools.tnm", "--nodes", tmp_path / "nodes.csv", "--stride-x", "40", "--stride-beta", "40",
        "--layout", "files", "--out", tmp_path / "nodes.h5",
    )  # fmt: skip
    assert made.returncode == 0, made.stderr
    done = script("tnm_grid_map", tmp_path / "nodes.h5", "--out", tmp_path / "map.png")
    assert done.returncode == 0, done.stderr
    assert "2 of 2 nodes" in done.stdout and "not of the paper's space" in done.stdout


def test_first_look(grid_file, tmp_path):
    done = script_without_mpi("tnm_first_look", grid_file, "--out", tmp_path / "look.png")
    assert done.returncode == 0, done.stderr
    assert is_picture(tmp_path / "look.png")
    table = rows(done.stdout, "material")
    assert [row[0] for row in table[::3]][:2] == ["As2Se3", "a-Se (enthalpy)"]
    known, direct, here = table[:3]
    assert [known[1], direct[1], here[1]] == ["known", "direct", "here"]
    assert [float(p) for p in here[4:]] == pytest.approx([float(p) for p in known[4:]], abs=3e-3)
    contents = {row[0]: row[1] for row in rows(done.stdout, str(grid_file))}
    assert contents["samples"] == "720"
    assert 500 < float(contents["a sample"].split()[0].replace(",", "")) < 10_000
    assert 0 < float(contents["CpN_max > 20"].split()[0]) < float(contents["CpN_max > 6"].split()[0]) < 50
    for command in ("tnm_signals.py", "tnm_grid_map.py", "--dry-run", "mpirun -n 256", "sbatch slurm/tnm_grid.sh"):
        assert command in done.stdout


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("tnm_signals", ("no/such.h5",), r"no/such\.h5: no such file"),
        ("tnm_grid_map", ("no/such.h5",), r"no/such\.h5: no such file"),
        ("tnm_first_look", ("no/such.h5",), r"no/such\.h5: no such file"),
        ("tnm_signals", ("FILE", "--sample", "720"), r"has no sample 720; it holds 720, 0 … 719"),
        ("tnm_signals", ("FILE", "--sample", "-1"), r"has no sample -1"),
        ("tnm_signals", ("FILE", "--index", "1"), r"does not hold the sample with global index 1\b"),
        ("tnm_signals", ("--parameters", "-79", "3e5", "0.5", "1.5"), r"beta = 1\.5; expected in \(0, 1\]"),
        ("tnm_signals", ("FILE", "--out", "a.bmp"), r"a\.bmp: figures are written as \.png, \.pdf, \.svg"),
        ("tnm_grid_map", ("setup.cfg",), r"no HDF5 file"),
        ("tnm_first_look", ("FILE", "--out", "setup.cfg/a.png"), r"its folder cannot be made"),
    ],
)
def test_mistakes_end_with_one_line(grid_file, name, arguments, words):
    done = script(name, *(grid_file if a == "FILE" else a for a in arguments))
    assert done.returncode == 2
    assert re.search(words, done.stderr), done.stderr
    assert done.stderr.startswith("error: ") and done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [(), ("--sample", "3", "--parameters", *AS2SE3)])
def test_signals_of_nothing(arguments):
    done = script("tnm_signals", *arguments)
    assert done.returncode == 2 and "Traceback" not in done.stderr
