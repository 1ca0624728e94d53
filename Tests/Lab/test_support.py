"""Of what starts and watches the programs: whatever they do, none is left, and all is heard."""

import os
import sys
import unittest

from sondetest import kernel
from sondetest.figures import rank
from sondetest.processes import Failure, Process, until

STUBBORN = """
import signal
signal.signal(signal.SIGTERM, signal.SIG_IGN)
print("ready", flush=True)
signal.pause()
"""


def python(text, **options):
    return Process([sys.executable, "-c", text], **options)


def is_there(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


class ProcessTests(unittest.TestCase):
    def test_one_that_ignores_sigterm_is_killed(self):
        program = python(STUBBORN)
        program.patience = 0.1
        with program:
            self.assertEqual(program.first_line(), "ready")
        self.assertEqual(program.process.returncode, -9)
        self.assertFalse(is_there(program.pid))

    def test_what_it_says_while_it_is_looked_at_is_kept_whole(self):
        text = "import sys, time\nfor n in range(200):\n    print(n, flush=True)\n" \
               "    time.sleep(0.0005)\nprint('log', file=sys.stderr)"
        with python(text, apart=True) as program:
            while program.process.poll() is None:
                _ = program.output
                program.last_words()
            self.assertEqual(program.wait(1), 0)
            self.assertEqual(program.output.split(), [str(n) for n in range(200)])
            self.assertEqual(program.last_words(), "log")

    def test_one_that_ends_before_it_speaks_or_listens_is_a_failure_with_its_words(self):
        for awaited in (Process.first_line, lambda it: it.wait_until_listening("127.0.0.1", 1)):
            with python("import sys; sys.exit('no luck')", apart=True) as program:
                with self.assertRaisesRegex(Failure, "code 1: no luck"):
                    awaited(program)

    def test_one_that_does_not_end_is_a_failure_and_does_not_stay(self):
        with python(STUBBORN.replace("SIG_IGN", "SIG_DFL")) as program:
            with self.assertRaisesRegex(Failure, "not ended"):
                program.wait(0.01)
        self.assertFalse(is_there(program.pid))

    def test_the_kernel_knows_its_memory_and_its_time(self):
        work = "held = bytearray(b'x' * (32 << 20))\nprint('ready', flush=True)\nwhile True: pass"
        with python(work) as program:
            program.first_line()
            self.assertGreater(kernel.resident(program.pid), 32 << 20)
            self.assertGreater(kernel.memory(program.pid, "Anonymous"), 32 << 20)
            self.assertGreaterEqual(kernel.peak(program.pid), kernel.resident(program.pid) * 0.9)
            used = kernel.processor_seconds(program.pid)
            self.assertTrue(until(lambda: kernel.processor_seconds(program.pid) > used, 10))
            self.assertGreater(kernel.descriptors(program.pid), 2)
            self.assertIn(program.pid, kernel.children(os.getpid()))


class RankTests(unittest.TestCase):
    def test_it_is_a_value_that_occurred(self):
        values = list(range(1000, 0, -1))
        self.assertEqual([rank(values, share) for share in (0, 0.5, 0.99, 1)], [1, 500, 990, 1000])
        self.assertEqual(rank([7], 0.99), 7)
