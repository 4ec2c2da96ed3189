"""Where the C++ library is that the package carries: its headers, its sources and its CMake package."""
from __future__ import annotations

from pathlib import Path


def get_include() -> str:
    """Folder of the public headers of the C++ library and of its C interface.

    Returns
    -------
    str
        What a compiler needs as ``-I`` for ``#include <pymixed/models.hpp>`` or ``#include <pymixed.h>``. The C++
        headers include Eigen's, which are not in it.

    See Also
    --------
    get_cmake_dir : for projects that CMake builds; it takes care of Eigen, and compiles the library.

    Examples
    --------
    >>> import pymixed as pm
    >>> from pathlib import Path
    >>> (Path(pm.get_include()) / "pymixed/models.hpp").is_file()
    True
    """
    return str(_folder() / "include")


def get_cmake_dir() -> str:
    """Folder of the CMake package, the ``pymixed_DIR`` of ``find_package(pymixed)``.

    The targets ``pymixed::pymixed`` (C++) and ``pymixed::c`` (C) of that package are compiled from the sources that the
    Python package carries, as a part of the host and with its flags.

    Returns
    -------
    str
        The folder of ``pymixedConfig.cmake``; ``python -m pymixed --cmakedir`` prints it.

    See Also
    --------
    get_include : the headers.

    Examples
    --------
    >>> import pymixed as pm
    >>> from pathlib import Path
    >>> (Path(pm.get_cmake_dir()) / "pymixedConfig.cmake").is_file()
    True
    """
    return str(_folder() / "cmake")


def _folder() -> Path:
    """The library: `cpp` in an installed package, `csrc` beside the package in a checkout."""
    package = Path(__file__).resolve().parent
    installed = package / "cpp"
    return installed if installed.is_dir() else package.parent / "csrc"
