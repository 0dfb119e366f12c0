"""Law 2 against the wall clock: no step reads it, so a clock that jumps between 1970 and 2038 changes no byte."""

from __future__ import annotations

import os
import subprocess
import sys
from datetime import date
from pathlib import Path

import pytest
from support.nights import night_environment, run_night, tree_bytes, write_shop
from support.set_clock import WHY_NOT, compile_library

from pipeline.lake.lake import Lake

DAY = date(2024, 3, 3)
ORDERS = [f"o{n},1,c{n % 5},2024-02-{20 + n % 9:02} 10:00:00,1,{n}.25,a" for n in range(20)] + [f"p,1,c1,{DAY} 23:30:00,1,5,b"]
# Every call tells another time: of 1970, of 2038, an hour back, an hour ahead.
JUMPING_CLOCK = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <sys/time.h>
#include <time.h>
static const long starts[] = {3600, 2147490000, 1709500000 - 3600, 1709500000 + 3600};
static long jump(void) { static unsigned calls; return starts[calls++ % 4]; }
int clock_gettime(clockid_t id, struct timespec *at) {
    static int (*real)(clockid_t, struct timespec *);
    if (!real) real = (int (*)(clockid_t, struct timespec *))dlsym(RTLD_NEXT, "clock_gettime");
    int result = real(id, at);
    if (id == CLOCK_REALTIME) at->tv_sec = jump();
    return result;
}
time_t time(time_t *at) { time_t now = jump(); if (at) *at = now; return now; }
int gettimeofday(struct timeval *at, void *zone) { (void)zone; at->tv_sec = jump(); at->tv_usec = 0; return 0; }
"""
NIGHT = """
import sys, time
from datetime import date
from pipeline.operations.deployment import Deployment
from pipeline.operations.night import Night
from pipeline.operations.steps import STEPS
assert len({int(time.time()) for _ in range(4)}) == 4, "the clock does not jump"
night = Night.of(Deployment.from_environment(), date.fromisoformat(sys.argv[1]))
for step in STEPS.values():
    step(night)
"""


@pytest.fixture
def jumping_clock(tmp_path: Path) -> Path:
    if WHY_NOT:
        pytest.skip(WHY_NOT)
    source, library = tmp_path / "clock.c", tmp_path / "clock.so"
    source.write_text(JUMPING_CLOCK)
    compile_library(source, library)
    return library


def test_a_clock_that_jumps_and_another_time_zone_change_no_byte(jumping_clock: Path, tmp_path: Path) -> None:
    shop = write_shop(tmp_path / "shop", ORDERS, customers=[f"c{n}" for n in range(5)])
    here, elsewhere = Lake(tmp_path / "here"), Lake(tmp_path / "elsewhere")
    run_night(shop, here, DAY)
    program = tmp_path / "night.py"
    program.write_text(NIGHT)
    with night_environment(shop, elsewhere):
        environment = {**os.environ, "LD_PRELOAD": str(jumping_clock), "TZ": "America/Santiago", "PYTHONHASHSEED": "4711"}
        subprocess.run([sys.executable, "-W", "ignore", str(program), DAY.isoformat()], env=environment, check=True)
    kept = ("tables", "publications", "models", "definitions", "reports")
    assert tree_bytes(elsewhere, *kept) == tree_bytes(here, *kept)
