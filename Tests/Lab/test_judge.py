"""The lab's judge must find what it is for: every kind of fault, on made-up results."""

import math
import os
import signal
import time
import unittest

import judge
import machine


def stamp(nanoseconds):
    seconds, rest = divmod(nanoseconds, 10**9)
    fraction = f".{rest:09}".rstrip("0") if rest else ""
    return f"2026-11-21T04:14:{seconds:02}{fraction}Z"


BASE = judge.nanoseconds("2026-11-21T04:14:00Z")
MS = 10**6


def change(milliseconds, index=0):
    before = BASE + milliseconds * MS
    return judge.Change(8080, index, f"p-{index}", before, before + MS)


def result(milliseconds, floor=None, **other):
    entry = {
        "address": "10.0.0.2", "port": 8080, "connectionidx": 0, "npname": "p-0",
        "timestamp": stamp(milliseconds * MS),
        "notbefore": None if floor is None else stamp(floor * MS),
        "uncertaintyms": None if floor is None else milliseconds - floor,
    }
    entry.update(other)
    return entry


def faults(*results, opened=1000):
    return dict(judge.compare({"10.0.0.2": change(opened)}, list(results)).faults)


class JudgeTests(unittest.TestCase):
    def test_a_sound_result_has_no_fault(self):
        comparison = judge.compare({"10.0.0.2": change(1000)}, [result(1080, 980)])
        self.assertEqual(comparison.faults, {})
        self.assertEqual(comparison.errors, [80])
        self.assertEqual(comparison.uncertainties, [100])

    def test_times_are_read_to_the_nanosecond(self):
        self.assertEqual(judge.nanoseconds("1970-01-01T00:00:01.000000001Z"), 10**9 + 1)
        self.assertEqual(judge.nanoseconds("1970-01-01T00:00:01.5Z"), 1_500_000_000)
        self.assertEqual(judge.nanoseconds("1970-01-01T00:00:02Z"), 2_000_000_000)
        for wrong in ["1970-01-01T00:00:01.50Z", "1970-01-01T00:00:01+00:00", "now", ""]:
            with self.assertRaises(ValueError):
                judge.nanoseconds(wrong)

    def test_a_timestamp_before_the_opening_is_a_lie(self):
        self.assertEqual(faults(result(999, 900)), {"bound broken": 1})

    def test_a_connection_before_the_opening_or_after_the_answer_is_a_lie(self):
        for moment, found in [(1030, {}), (999, {"wrong connection time": 1}),
                              (1081, {"wrong connection time": 1})]:
            entry = result(1080, 980, connectedat=stamp(moment * MS))
            self.assertEqual(faults(entry), found)

    def test_a_lower_bound_after_the_opening_is_a_lie(self):
        self.assertEqual(faults(result(1050, 1002)), {"bound broken": 1})
        self.assertEqual(faults(result(1050, 1001)), {})  # within the time the change took

    def test_a_missing_lower_bound_is_counted(self):
        self.assertEqual(faults(result(1050)), {"no lower bound": 1})

    def test_the_stated_uncertainty_must_be_the_width(self):
        self.assertEqual(faults(result(1050, 950, uncertaintyms=50)), {"wrong uncertainty": 1})
        self.assertEqual(faults(result(1050, 950, uncertaintyms=None)), {"wrong uncertainty": 1})

    def test_labels_must_come_back(self):
        for wrong in [{"port": 80}, {"connectionidx": 1}, {"npname": "p-1"}]:
            self.assertEqual(faults(result(1050, 950, **wrong)), {"wrong label": 1})

    def test_missing_double_and_foreign_results_are_faults(self):
        good = result(1050, 950)
        self.assertEqual(faults(), {"undetected": 1})
        self.assertEqual(faults(good, good), {"reported twice": 1})
        foreign = result(1050, 950, address="10.0.0.9")
        self.assertEqual(faults(good, foreign), {"unknown target": 1})

    def test_an_unreadable_time_is_a_fault(self):
        self.assertEqual(faults(result(1050, 950, timestamp="soon")), {"unreadable time": 1})

    def test_an_undetected_target_is_an_endless_error(self):
        changes = {f"10.0.0.{n}": change(1000, n) for n in range(100)}
        found = [
            result(1010 + n, 990, address=f"10.0.0.{n}", connectionidx=n, npname=f"p-{n}")
            for n in range(98)
        ]
        comparison = judge.compare(changes, found)
        self.assertEqual(comparison.percentile(0.5), 59)
        self.assertEqual(comparison.percentile(0.99), math.inf)
        self.assertEqual(judge.compare({}, []).percentile(0.99), math.inf)

    def test_bars_hold_up_to_the_limit_and_not_beyond(self):
        good = judge.compare({"10.0.0.2": change(1000)}, [result(1080, 980)])
        self.assertTrue(all(bar.holds for bar in judge.bars(good, p99_ms=80)))
        self.assertEqual([b.name for b in judge.bars(good, 79) if not b.holds], ["p99 error"])
        late = judge.compare({"10.0.0.2": change(1000)}, [result(1080, 1010)])
        self.assertEqual([b.name for b in judge.bars(late, 80) if not b.holds], ["bound broken"])
        self.assertTrue(all(bar.holds for bar in judge.bars(late, 80, broken=1)))
        twice = judge.compare({"10.0.0.2": change(1000)}, [result(1080, 980)] * 2)
        self.assertEqual([b.name for b in judge.bars(twice, 80) if not b.holds], ["reported twice"])
        self.assertIn("MISSED", str(judge.Bar("x", 2, 1)))
        self.assertIn("MISSED", str(judge.Bar("x", math.inf, 1)))

    def test_only_a_time_is_explained_by_a_late_machine_and_only_a_near_one(self):
        near, far = judge.Bar("p99", 112, 110, "ms"), judge.Bar("p99", 130, 110, "ms")
        self.assertTrue(machine.explains(near, 0.5, 0))
        self.assertFalse(machine.explains(near, 0.4, 1000))
        self.assertFalse(machine.explains(far, 2, 1000))
        self.assertFalse(machine.explains(judge.Bar("p99", math.inf, 110, "ms"), 500, 1000))
        self.assertFalse(machine.explains(judge.Bar("bound broken", 1, 0), 500, 1000))
        self.assertTrue(machine.explains(judge.Bar("delivered", 0.16, 0.15, "s"), 0, 11))
        self.assertFalse(machine.explains(judge.Bar("delivered", 0.2, 0.15, "s"), 20, 11))

    def test_a_machine_that_was_taken_is_seen_late(self):
        watch = machine.Watch()
        try:
            watch.begin()
            for child in watch.children:
                os.kill(child, signal.SIGSTOP)
            time.sleep(0.05)
            for child in watch.children:
                os.kill(child, signal.SIGCONT)
            limit = time.monotonic() + 5
            while watch.worst_and_whole()[0] < 40 and time.monotonic() < limit:
                time.sleep(0.001)
            self.assertGreater(watch.worst_and_whole()[0], 40)
        finally:
            watch.close()


if __name__ == "__main__":
    unittest.main()
