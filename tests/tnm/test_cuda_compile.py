"""The CUDA source compiles for the devices it is meant for; this needs NVRTC, but neither driver nor device."""

from __future__ import annotations

import re

import pytest

from hpctools.tnm import source

REGISTERS_OF_A_THREAD = 65536 // (source.BLOCK * source.BLOCKS)


@pytest.mark.parametrize("architecture", ["sm_80", "sm_90"])
def test_compiles(architecture: str, compile_cuda):
    log, code = compile_cuda(source.source(), "tnm.cu", architecture)
    # tables are read sixteen bytes at a time, past the caches of what is written
    assert code.count("ld.global.nc.v2.f64") > 10
    for kernel in ("physics_float32", "physics_float64", "flats_float32", "flats_float64"):
        found = re.search(
            rf"Function properties for tnm_{kernel}\s+ptxas\W+(\d+) bytes stack frame, (\d+) bytes spill stores, "
            rf"(\d+) bytes spill loads\s+ptxas info\s+: Used (\d+) registers",
            log,
        )
        assert found, log
        stack, stores, loads, registers = map(int, found.groups())
        print(f"{architecture} {kernel}: {registers} registers, {stack} B stack, spills {stores} B out, {loads} B in")
        assert registers <= REGISTERS_OF_A_THREAD
        assert stack <= 512 and (stack == 0 or kernel.startswith("physics"))
