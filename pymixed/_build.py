"""What an installation is made of."""
from __future__ import annotations

import platform
import sysconfig
from importlib import metadata
from typing import Any

from . import _core


def build_info() -> dict[str, Any]:
    """What this installation is made of: how its core was compiled, what it uses and what it runs on.

    The core holds its innermost loops for more than one instruction set and chooses one when it is imported, the
    fastest that the processor runs. The environment variable ``PYMIXED_INSTRUCTION_SET`` (``baseline`` or ``avx2``)
    forces one; with a value that this build or this processor cannot follow, ``import pymixed`` raises ImportError.
    Estimates of two instruction sets differ by rounding errors.

    Returns
    -------
    dict[str, Any]
        ``version`` of pymixed; ``compiler`` of the core, its ``cpp_standard`` (201703 is C++17) and the versions of
        ``eigen`` and ``pybind11``; ``instruction_set`` in use and ``instruction_sets`` compiled in, the slowest first;
        ``pointer_bits``; ``python`` and its ``abi``; versions of ``numpy``, ``scipy``, ``pandas`` and ``formulaic``;
        ``platform``.

    Examples
    --------
    >>> import pymixed as pm
    >>> info = pm.build_info()
    >>> info["instruction_set"] in info["instruction_sets"]
    True
    >>> info["version"] == pm.__version__
    True
    """
    core: dict[str, Any] = _core.build_info()
    return {
        **core,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "abi": sysconfig.get_config_var("SOABI"),
        **{name: metadata.version(name) for name in ("numpy", "scipy", "pandas", "formulaic")},
        "platform": platform.platform(),
    }
