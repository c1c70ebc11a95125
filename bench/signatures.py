#!/usr/bin/python3
# SPDX-License-Identifier: MIT
"""A synthetic ClamAV database of about the real one's size: a million signatures, most of them hashes as in the real
one, a tenth body patterns, and EICAR. The same seed gives the same files. It has no logical signatures (ldb): ten thousand
of them cost 3.5 ms of CPU per scan, which would hide everything else that the bench compares.

  signatures.py DIRECTORY [COUNT]
"""
import pathlib
import random
import sys

EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*".hex()
TARGETS = (0, 0, 0, 1, 1, 1, 3, 4)  # any, PE, HTML, mail: about the mix of body signatures


def write(directory, count=1_000_000, seed=7):
    """Returns the number of signatures; leaves a complete database alone."""
    directory = pathlib.Path(directory)
    done = directory / f".complete-{count}-{seed}"
    if done.exists():
        return count
    directory.mkdir(parents=True, exist_ok=True)
    rnd = random.Random(seed)
    part = {"hdb": count * 70 // 100, "hsb": count * 15 // 100, "mdb": count * 5 // 100}
    part["ndb"] = count - sum(part.values())
    lines = {
        "hdb": lambda n: f"{rnd.randbytes(16).hex()}:{rnd.randrange(500, 2_000_000)}:Bench.Hash-{n}",
        "hsb": lambda n: f"{rnd.randbytes(32).hex()}:{rnd.randrange(500, 2_000_000)}:Bench.Sha256-{n}",
        "mdb": lambda n: f"{rnd.randrange(512, 500_000)}:{rnd.randbytes(16).hex()}:Bench.Section-{n}",
        "ndb": lambda n: f"Bench.Body-{n}:{rnd.choice(TARGETS)}:*:{rnd.randbytes(rnd.randrange(16, 48)).hex()}",
    }
    for kind, line in lines.items():
        with open(directory / f"bench.{kind}", "w", encoding="ascii") as out:
            for n in range(part[kind]):
                print(line(n), file=out)
    (directory / "eicar.ndb").write_text(f"Eicar-Signature:0:*:{EICAR}\n")
    for path in directory.iterdir():
        path.chmod(0o644)
    done.touch()
    return count


if __name__ == "__main__":
    if len(sys.argv) not in (2, 3):
        sys.exit(__doc__)
    print(write(sys.argv[1], int(sys.argv[2]) if len(sys.argv) == 3 else 1_000_000))
