"""Correlations along a trajectory: its points, their JSON values, the traces of a degree."""

import json
import math
from collections.abc import Iterator

import pytest
import torch

from kernels import Network
from sim import probes as module
from sim.errors import SimError
from sim.probe import READINGS, ProbeSpec, correlations
from sim.probes import Group, Point, Probes, Reading, probe
from sim.transition import find_peak
from tests.sim.probe_cases import random_network


def test_points_of_a_trajectory(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = ProbeSpec(6, (1, 3), key=7, samples=900, off=4)
    small = [(10 * i, random_network(i, 1 + i % 2, 4, 6, torch.float32)) for i in range(5)]
    networks = [*small, (60, random_network(9, 1, 7, 6, torch.float32)), (70, random_network(9, 1, 7, 6))]
    calls: list[tuple[int, int]] = []
    together = probe(spec, networks, progress=lambda points, samples: calls.append((points, samples)))
    assert [(p.step, p.replicate) for p in together.points] == [
        (step, r) for step, network in networks for r in range(network.W.shape[0])
    ]
    assert calls == [(0, 900), (7, 900), (8, 900)]  # one pass for the networks of one shape and type
    for point in together.points:
        network = Network(*(t[point.replicate, None] for t in dict(networks)[point.step]))
        alone = correlations(spec, network)
        for g, name in enumerate(READINGS):
            reading = point.readings[name]
            assert reading.values == pytest.approx(alone.values[g, 0, :4].tolist(), rel=1e-5, abs=1e-6)
            assert reading.errors == pytest.approx(alone.errors[g, 0, :4].tolist(), rel=1e-5, abs=1e-6)
            outside = alone.values[g, 0, 4:].abs()
            assert [(group.kind, group.degree) for group in reading.groups] == [
                ("off", 1),
                ("off", 2),
                ("mixed", 2),
            ]
            for group, part, errors in zip(
                reading.groups, outside.split(4), alone.errors[g, 0, 4:].split(4), strict=True
            ):
                assert group.count == 4
                assert group.mean == pytest.approx(float(part.mean()), abs=1e-6)
                assert group.largest == pytest.approx(float(part.max()), abs=1e-6)
                assert part.min() - 1e-6 <= group.low <= group.high <= part.max() + 1e-6
                excess = max(0.0, float((part**2 - errors**2).mean())) ** 0.5
                assert group.excess == pytest.approx(excess, abs=1e-3)
    values = json.loads(json.dumps(together.to_json(), allow_nan=False))
    assert Probes.from_json(values) == together
    trace = together.degree(1, "sign", replicate=1)
    assert trace.steps.tolist() == [10, 30]
    assert trace.monomials == ((1,), (3,))
    assert trace.values[0].tolist() == list(together.points[2].readings["sign"].values[1:3])
    assert trace.groups[0]["off"].count == 4
    monkeypatch.setattr(module, "BATCH", 50)
    again: list[tuple[int, int]] = []
    apart = probe(spec, networks, progress=lambda points, samples: again.append((points, samples)))
    assert len(again) > len(calls)
    assert [p.step for p in apart.points] == [p.step for p in together.points]


def test_networks_are_taken_one_pass_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "BATCH", 24)
    alive = []

    def trajectory() -> Iterator[tuple[int, Network]]:
        for step in range(4):
            alive.append(step)
            yield step, random_network(step, 1, 4, 6)

    done: list[int] = []
    spec = ProbeSpec(6, (1,), key=7, samples=10)
    probe(spec, trajectory(), progress=lambda points, samples: done.append(len(alive) - points))
    assert done == [2, 2, 2, 1]  # the one at hand, and the next, which did not fit


def test_a_diverged_network_is_null_in_json() -> None:
    w, b, a, c = random_network(1, 1, 4, 6)
    probes = probe(ProbeSpec(6, (1,), key=7, samples=10), [(0, Network(w * math.nan, b, a, c))])
    values = probes.to_json()
    text = json.dumps(values, allow_nan=False)
    assert values["points"][0]["readings"]["sign"]["values"] == [None, None]
    back = Probes.from_json(json.loads(text))
    assert all(math.isnan(v) for v in back.points[0].readings["logit"].values)
    assert find_peak(back) is None
    assert find_peak(Probes(probes.spec, ())) is None


def test_groups_join_the_trace_of_their_degree() -> None:
    groups = (Group("off", 1, 2, 0.1, 0.0, 0.2, 0.2, 0.1), Group("mixed", 2, 2, 0.3, 0.0, 0.4, 0.4, 0.1))
    reading = Reading((0.0,) * 4, (0.0,) * 4, groups)
    probes = Probes(ProbeSpec(9, (0, 1), key=0), (Point(1, 0, dict.fromkeys(READINGS, reading)),))
    assert probes.degree(1).groups == ({"off": groups[0]},)
    assert probes.degree(2).groups == ({"mixed": groups[1]},)


def test_readings_and_values_that_are_refused() -> None:
    probes = probe(ProbeSpec(21, (0,), key=0, samples=10), [(0, random_network(0, 1, 2, 21))])
    with pytest.raises(SimError, match="reading 'p' is unknown: use one of probability, sign, logit"):
        probes.degree(1, "p")
    values = probes.to_json()
    for broken in (
        {},
        {"spec": values["spec"], "points": [{}]},
        {"spec": {}, "points": []},
        {"points": None},
    ):
        with pytest.raises(SimError, match="no probe"):
            Probes.from_json(broken)
