"""Progress bar and log lines."""

import io

from hpctools.progress import Progress, duration


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(stream, seconds_a_step=1.0, steps=100, **options):
    now = [0.0]
    with Progress(steps, unit="samples", label="grid", stream=stream, clock=lambda: now[0], **options) as bar:
        for step in range(options.get("initial", 0) + 1, steps + 1):
            now[0] += seconds_a_step
            bar.update(step)
    return stream.getvalue()


def test_log_has_few_whole_lines():
    lines = run(io.StringIO()).splitlines()
    assert len(lines) == 11  # every 10 s, and the end
    assert lines[0] == "grid: 10 of 100 samples (10 %), 1 samples/s, 1 min 30 s left"
    assert lines[-1] == "grid: 100 of 100 samples (100 %), 1 samples/s, 1 min 40 s in all"
    assert "\r" not in "".join(lines)


def test_long_jobs_print_every_five_percent_and_slow_ones_a_sign_of_life():
    assert len(run(io.StringIO(), steps=10_000).splitlines()) < 200
    assert len(run(io.StringIO(), seconds_a_step=100.0, steps=10).splitlines()) == 11


def test_terminal_gets_one_bar():
    text = run(Terminal())
    assert text.count("\n") == 1 and text.count("\r") == 101
    assert "[###...........................] 10 of 100 samples" in text


def test_one_of_many_prints_a_line_now_and_then():
    for stream in (io.StringIO(), Terminal()):
        lines = run(stream, steps=150, every=60.0).split("\n")
        assert [line.split(" of")[0] for line in lines] == ["grid: 60", "grid: 120", ""]
        assert lines[0].endswith("1 samples/s, 1 min 30 s left")


def test_resume_counts_its_own_rate():
    assert "20 of 100 samples (20 %), 1 samples/s" in run(io.StringIO(), initial=10)


def test_other_ranks_are_silent():
    assert run(io.StringIO(), enabled=False) == ""


def test_nothing_to_do():
    stream = io.StringIO()
    Progress(0, stream=stream).close()
    assert "0 of 0 steps (100 %)" in stream.getvalue()


def test_durations():
    assert [duration(x) for x in (0.4, 42, 185, 7620, 273600)] == [
        "0 s", "42 s", "3 min 05 s", "2 h 07 min", "3 d 04 h"]
