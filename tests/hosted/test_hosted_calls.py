"""The table of hosted calls: what C is told of a kernel function, and what the function says itself."""

from incroos.build.c_prototypes import prototype_of
from incroos.hosted.calls import CALLS
from incroos.lang.frontend.signature import signature_of


def test_the_shim_declares_what_kernel_functions_take_and_give() -> None:
    for row in CALLS:
        prototype, signature = prototype_of(row.shim), signature_of(row.function)
        assert prototype.name == f'incro_k_{signature.name}'
        assert prototype.parameters == tuple(name for name, _ in signature.parameters), row.shim
        assert prototype.is_pointer == (str(signature.result) == 'VirtAddr'), row.shim
        assert (prototype.result == 'void') == (str(signature.result) == 'None'), row.shim


def test_a_program_hands_on_all_but_heap_and_site() -> None:
    for row in CALLS:
        if row.offered:
            parameters = [name for name in prototype_of(row.shim).parameters[1:] if name != 'site']
            assert list(prototype_of(row.offered).parameters) == parameters, row.offered
