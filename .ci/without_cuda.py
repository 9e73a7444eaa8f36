"""Let a CUDA build of PyTorch be imported without CUDA's libraries, which are some gigabytes, to be tested on the CPU.

Usage: python without_cuda.py FOLDER, where FOLDER is `torch` in site-packages. For all libraries that the build needs
and lacks, one goes beside PyTorch's own: every function in it answers 100, CUDA's "no device is there".
"""

from __future__ import annotations

import re
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

NO_DEVICE = 100
LIBRARY = re.compile(r"lib(cu|nv|nccl).*\.so\.\d+")
FUNCTION = re.compile(r"(__)?(cu|nv|nccl)\w*")
# What is to be printed is a text even where nothing is there.
TEXT = re.compile(r"\w*(ErrorString|ErrorName|StatusString|StatusName)")


def lines(*command: str) -> list[str]:
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


def main(folder: Path) -> None:
    libraries = sorted(folder.glob("lib/*.so*"))
    needed: set[str] = set()
    # The functions by the version that is asked for, empty where there is none.
    versions: defaultdict[str, set[str]] = defaultdict(set)
    for library in libraries:
        needed |= {line.split()[1] for line in lines("objdump", "-p", str(library)) if "NEEDED" in line}
        for line in lines("nm", "-D", "--undefined-only", str(library)):
            name, _, version = line.split()[-1].partition("@")
            if FUNCTION.fullmatch(name):
                versions[version.lstrip("@")].add(name)
    missing = sorted(name for name in needed - {library.name for library in libraries} if LIBRARY.fullmatch(name))
    source = "".join(
        f'const char *{name}(void) {{ return "no CUDA"; }}\n'
        if TEXT.fullmatch(name)
        else f"long {name}(void) {{ return {NO_DEVICE}; }}\n"
        for name in sorted(set().union(*versions.values()))
    )
    nodes = [f"{version} {{ {' '.join(f'{name};' for name in sorted(names))} }};"
             for version, names in sorted(versions.items()) if version]  # fmt: skip
    script = folder / "lib" / "without_cuda.map"
    script.write_text("\n".join(nodes) + "\n")
    stub = folder / "lib" / "libwithout_cuda.so"
    command = ["gcc", "-w", "-fno-builtin", "-shared", "-fPIC", "-x", "c", "-", "-o", str(stub)]
    subprocess.run([*command, f"-Wl,--version-script={script}"], input=source, text=True, check=True)
    for name in missing:
        (folder / "lib" / name).symlink_to(stub.name)
    print(f"{len(missing)} libraries of CUDA are not there: {', '.join(missing)}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
