"""Kinds of memory: what the kernel tells apart, and what each number of each firmware means in these terms.

The larger a kind's number, the more restrictive it is: of two that claim a byte, the larger one has it. What no table
names is reserved, because nobody knows what its owner does with it.
E820 and PVH: ACPI specification, "System Address Map Interfaces". UEFI: its specification, "Boot Services",
EFI_MEMORY_TYPE, as it holds once the boot services have ended.
"""

from typing import Final

from incroos.lang import kernel, word

RAM: Final = 1
HOLE: Final = 2  # nobody says anything of it; no region is of this kind
ACPI_TABLES: Final = 3  # RAM as soon as nobody reads them any more
UNACCEPTED: Final = 4  # RAM as soon as a guest of encrypted memory has asked for it
PERSISTENT: Final = 5  # holds what somebody wants to find again
ACPI_NVS: Final = 6  # the firmware's, kept over sleep
RUNTIME: Final = 7  # code and data of UEFI's runtime services
RESERVED: Final = 8
UNUSABLE: Final = 9  # broken

UEFI_RUNTIME: Final = 0xF000_0000  # what our UEFI program calls runtime services: E820 leaves the number to the OEM

E820_KINDS: Final = bytes(
    (
        RESERVED,  # 0
        RAM,  # 1: AddressRangeMemory
        RESERVED,  # 2: AddressRangeReserved
        ACPI_TABLES,  # 3: AddressRangeACPI
        ACPI_NVS,  # 4: AddressRangeNVS
        UNUSABLE,  # 5: AddressRangeUnusable
        RESERVED,  # 6: AddressRangeDisabled
        PERSISTENT,  # 7: AddressRangePersistentMemory
        UNACCEPTED,  # 8: AddressRangeUnaccepted
        RESERVED,  # 9
        RESERVED,  # 10
        RESERVED,  # 11
        PERSISTENT,  # 12: what boards with persistent memory said before there was the 7
    )
)

UEFI_KINDS: Final = bytes(
    (
        RESERVED,  # 0: EfiReservedMemoryType
        RAM,  # 1: EfiLoaderCode
        RAM,  # 2: EfiLoaderData
        RAM,  # 3: EfiBootServicesCode
        RAM,  # 4: EfiBootServicesData
        RUNTIME,  # 5: EfiRuntimeServicesCode
        RUNTIME,  # 6: EfiRuntimeServicesData
        RAM,  # 7: EfiConventionalMemory
        UNUSABLE,  # 8: EfiUnusableMemory
        ACPI_TABLES,  # 9: EfiACPIReclaimMemory
        ACPI_NVS,  # 10: EfiACPIMemoryNVS
        RESERVED,  # 11: EfiMemoryMappedIO
        RESERVED,  # 12: EfiMemoryMappedIOPortSpace
        RESERVED,  # 13: EfiPalCode
        PERSISTENT,  # 14: EfiPersistentMemory
        UNACCEPTED,  # 15: EfiUnacceptedMemoryType
    )
)


@kernel
def kind_of_e820(number: word) -> word:
    """What a region is to which E820 or PVH gives this number."""
    if number == UEFI_RUNTIME:
        return RUNTIME
    return E820_KINDS[number] if 0 <= number < len(E820_KINDS) else RESERVED


def e820_numbers_of_uefi() -> tuple[int, ...]:
    """For the UEFI program, which hands over what PVH does: the number for each type of UEFI."""
    return tuple(UEFI_RUNTIME if kind == RUNTIME else E820_KINDS.index(kind, 1) for kind in UEFI_KINDS)
