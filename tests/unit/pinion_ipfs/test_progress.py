from pinion_ipfs.progress import Progress, ProgressMeter, SourceBytes


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_rate_is_of_the_last_seconds_and_the_store_does_not_count() -> None:
    clock, seen = Clock(), list[Progress]()
    meter = ProgressMeter(1000, seen.append, clock)
    meter.add("Store", "store", 500)
    assert seen[-1] == Progress(1000, 500, 0, None, (SourceBytes("Store", "store", 500),))
    for _ in range(10):
        clock.now += 1
        meter.add("Origin", "hub", 20)
    assert seen[-1].completed_bytes == 700
    assert seen[-1].bytes_per_second == 20
    assert seen[-1].eta_seconds == 15
    clock.now += 1
    meter.set("Origin", "hub", 500)
    assert seen[-1].completed_bytes == 1000
    assert seen[-1].eta_seconds == 0


def test_it_publishes_a_few_times_a_second_and_when_asked() -> None:
    clock, seen = Clock(), list[Progress]()
    meter = ProgressMeter(1000, seen.append, clock)
    for _ in range(100):
        clock.now += 0.01
        meter.add("Backend", "kubo", 1)
    assert 4 <= len(seen) <= 7
    assert meter.publish().completed_bytes == 100


def test_bytes_that_were_thrown_away_are_taken_back() -> None:
    clock, seen = Clock(), list[Progress]()
    meter = ProgressMeter(1000, seen.append, clock)
    meter.add("Backend", "a", 600)
    meter.add("Backend", "a", -600)
    meter.add("Backend", "b", 5000)
    assert meter.publish().completed_bytes == 1000
    assert seen[-1].sources == (SourceBytes("Backend", "b", 5000),)
