"""Runs a program in the place that its user names: in QEMU, or on the simulated computer, compiled or interpreted.

What a place needs is imported when it is chosen.
"""

from contextlib import AbstractContextManager
from dataclasses import replace

from .program import Program, Ran


def run_program(place: str, wanted: Program, debugger: AbstractContextManager[object] | None = None) -> Ran:
    """Run a program in qemu, jit or sim. Raises Unusable where it is none, or the place does not work here.

    In sim, a debugger is entered round the kernel's run.
    """
    wanted.check()
    module = wanted.module()
    if place == 'qemu':
        from . import images, places, qemu_process, qemu_program

        qemu_process.find_qemu()  # before anything is built for it
        image = images.kernel_image(wanted.progress, entry=images.RUN, config=wanted.config, checked=wanted.is_checked)
        last = places.LastBytes(wanted.console)
        ran = qemu_program.run(replace(wanted, console=last), module, image.path)
        return replace(ran, machine=places.with_place_of_trap(ran.machine, image, last.content))
    from . import simulated_program

    return simulated_program.run(place, wanted, module, debugger)
