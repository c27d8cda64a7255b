"""How much memory a process of ours may have, and that none of it is left on the disk when it crashes."""

import resource

_BYTES_PER_MB = 1_000_000


def forbid_core_files() -> None:
    """Let neither this process nor those that it starts write a core file: their memory holds patients."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def limit_memory(limit_mb: int) -> None:
    """Let this process have no more than `limit_mb` MB (10^6 bytes) of data: heap, stacks and private mappings.

    Beyond it an allocation fails, or a thread does not start: what asked for it ends, and the process goes on. Not
    RLIMIT_AS: every thread reserves 64 MiB of addresses for its heap, and uses next to nothing of them.
    """
    _soft, hard = resource.getrlimit(resource.RLIMIT_DATA)
    limit_bytes = limit_mb * _BYTES_PER_MB
    if hard != resource.RLIM_INFINITY:
        limit_bytes = min(limit_bytes, hard)
    resource.setrlimit(resource.RLIMIT_DATA, (limit_bytes, hard))
