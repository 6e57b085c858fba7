from __future__ import annotations

import io

from minillm.training.progress import ProgressBar, Silent


class Terminal(io.StringIO):
    def isatty(self):
        return True


def run(stream):
    bar = ProgressBar(stream, stream)
    bar.start(2, 10)
    bar.evaluation(2, 3.0, True)
    for loss in (2.5, 2.4, 2.3):
        bar.step(loss, 1000)
    bar._bar.refresh()
    bar.evaluation(5, 3.1, False)
    update = bar.whole_evaluation(7)
    update(3)
    bar.close()
    bar.close()
    return stream.getvalue()


def test_a_terminal_sees_a_bar_with_loss_speed_and_time_left():
    shown = run(Terminal())
    assert "3/10 steps" in shown or "5/10 steps" in shown
    assert "tokens/s" in shown
    assert "loss 2.4" in shown
    assert "<" in shown
    assert "step     5: training loss 2.48" in shown
    assert "validation loss 3.1000 (not the lowest)" in shown
    assert "reading the whole validation text" in shown


def test_a_file_sees_lines_alone():
    shown = run(io.StringIO())
    assert shown.splitlines() == [
        "step     2: validation loss 3.0000",
        "step     5: training loss 2.4852, validation loss 3.1000 (not the lowest)",
    ]


def test_silence():
    silent = Silent()
    silent.start(0, 3)
    silent.step(1.0, 5)
    silent.evaluation(1, 2.0, True)
    silent.whole_evaluation(3)(1)
    silent.close()
