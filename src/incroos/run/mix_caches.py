"""What a recorder of traces does with caches of objects.

Objects of a cache with a template go back as they were constructed, so each one that comes is looked at as if it had
been filled already.
"""

from collections.abc import Callable
from typing import TYPE_CHECKING, Final

from incroos.kernel.codes import BAD_FREE, CACHE_IN_USE, OK

from .mix_parts import Cached, Held, must_be, must_be_any

if TYPE_CHECKING:
    from .mix import Recorder

MAX_CACHES: Final = 8
OBJECT_SIZES: Final = (1, 8, 24, 100, 100, 700, 5000, 32_768)
BAD_SIZES: Final = (0, -1, 32_769, -1 << 63)


class CacheActions:
    """Makes up calls about caches, and keeps account of what they gave."""

    def __init__(self, recorder: 'Recorder') -> None:
        self.recorder = recorder
        self.caches: list[Cached] = []

    def weighted(self) -> list[tuple[Callable[[], None], int]]:
        """What there is to do, and how often."""
        return [
            (self.cache_create, 2),
            (self.cache_alloc, 8),
            (self.cache_free, 6),
            (self.write_object, 3),
            (self.verify_object, 3),
            (self.end_cache, 2),
        ]

    def cache_create(self) -> None:
        """A cache, at times with a template: what a chunk holds."""
        chunk = self.recorder.pick(self.recorder.chunks)
        if chunk:
            self.recorder.chunks.append(chunk)
        nbytes = self.recorder.random.choice(OBJECT_SIZES if len(self.caches) < MAX_CACHES else BAD_SIZES)
        has_template = chunk is not None and chunk.nbytes >= nbytes > 0 and chunk.byte >= 0
        alignment, template = 1 << self.recorder.random.randrange(13), chunk.addr if chunk and has_template else 0
        byte = chunk.byte if chunk and has_template else -1
        self.recorder.add(
            lambda ptr: self.caches.append(Cached(ptr, nbytes, byte)) if ptr else None,
            *('cache_create', nbytes, alignment, template, self.recorder.random.randrange(1 << 63)),
        )

    def cache_alloc(self) -> None:
        cache = self.recorder.pick(self.caches)
        if cache:
            self.recorder.add(lambda ptr: self._settle_object(cache, ptr), 'cache_alloc', cache.addr)

    def _settle_object(self, cache: Cached, ptr: int) -> None:
        self.caches.append(cache)
        if ptr:
            cache.objects.append(Held(ptr, cache.nbytes, cache.byte))

    def cache_free(self) -> None:
        """An object, as it was constructed; another cache and kfree do not take it."""
        cache = self.recorder.pick(self.caches)
        if cache and (thing := self.recorder.pick(cache.objects)):
            other = self.recorder.random.choice([*self.caches, cache])
            if other is not cache:
                self.recorder.add(must_be(BAD_FREE), 'cache_free', other.addr, thing.addr)
            if self.recorder.is_forgiving:
                self.recorder.add(must_be(BAD_FREE), 'kfree', thing.addr)
            if cache.byte >= 0:
                self.recorder.add(must_be_any, 'fill', thing.addr, cache.byte, cache.nbytes)
            self.recorder.add(must_be(OK), 'cache_free', cache.addr, thing.addr)
            self.recorder.add(must_be(BAD_FREE), 'cache_free', cache.addr, thing.addr)
        self.caches += [cache] if cache else []

    def write_object(self) -> None:
        self._with_objects(self.recorder.write)

    def verify_object(self) -> None:
        self._with_objects(self.recorder.verify)

    def _with_objects(self, do: Callable[[list[Held]], None]) -> None:
        if self.caches:
            do(self.recorder.random.choice(self.caches).objects)

    def end_cache(self) -> None:
        """Shrink a cache, change what it keeps, or end it, which is refused while it has objects."""
        self.recorder.flush()
        cache = self.recorder.pick(self.caches)
        if cache:
            name, *words = self.recorder.random.choice((('cache_shrink',), ('cache_keep', 3), ('cache_destroy',)))
            if name != 'cache_destroy':
                self.recorder.add(must_be_any, name, cache.addr, *words)
            elif cache.objects:
                self.recorder.add(must_be(CACHE_IN_USE), name, cache.addr)
            else:
                self.recorder.add(must_be(OK), name, cache.addr)
                self.recorder.add(must_be(BAD_FREE), name, cache.addr)
                return
            self.caches.append(cache)
