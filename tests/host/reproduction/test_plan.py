from host.reproduction.plan import QUICK, RATES, Experiment, Unit, units_of


def test_every_unit_comes_after_what_it_needs() -> None:
    units = units_of(Experiment())
    assert len(set(units)) == len(units) == 5 * (3 + len(RATES) + 2 * 4)
    for place, unit in enumerate(units):
        assert unit.needs is None or unit.needs in units[:place]


def test_the_rates_are_those_of_the_publication() -> None:
    rates = {unit.rate for unit in units_of(Experiment()) if unit.kind == "rate"}
    assert rates == {0.5, 0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999}
    assert {unit.rate for unit in units_of(Experiment()) if unit.kind == "narrow"} == {0.98, 0.99, 0.995, 0.999}


def test_names_tell_units_apart() -> None:
    units = units_of(Experiment())
    assert len({unit.name for unit in units}) == len(units)
    assert Unit(3, "rate", 0.995).name == "seed-3-rate-0.995"


def test_the_quick_one_is_of_one_seed() -> None:
    assert [unit.kind for unit in units_of(QUICK)] == ["original", "ordinary", "continued", "rate", "rate"]
