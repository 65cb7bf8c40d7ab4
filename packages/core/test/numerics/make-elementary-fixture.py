"""Writes fixtures/elementary.json: arguments and values of elementary functions from mpmath, each as the nearest double and the
nearest double to what is left, so that errors can be told in fractions of an ulp. Run with mpmath installed."""

import json
import math
import random
import struct
from pathlib import Path

import mpmath

mpmath.mp.prec = 2400
random.seed(20240601)


def bits(low, high):
    """A double whose bit pattern is uniform between two positive ones: every binade as likely as another."""
    to_int = lambda x: struct.unpack("<q", struct.pack("<d", x))[0]
    return struct.unpack("<d", struct.pack("<q", random.randint(to_int(low), to_int(high))))[0]


def signed(x):
    return x if random.random() < 0.5 else -x


def pair(value):
    high = float(value)
    return [high, float(value - mpmath.mpf(high))]


def table(function, arguments):
    rows = []
    for argument in arguments:
        argument = argument if isinstance(argument, tuple) else (argument,)
        rows.append([*argument, *pair(function(*map(mpmath.mpf, argument)))])
    return rows


uniform = random.uniform
N = 70
fixture = {
    "exp": table(mpmath.exp, [uniform(-1, 1) for _ in range(N)] + [uniform(-708, 709.7) for _ in range(N)]
                 + [signed(bits(1e-20, 700.0)) for _ in range(N)] + [0.0, 1.0, -1.0, 709.782712893384, -708.39641853226408]),
    "log": table(mpmath.log, [bits(5e-324, 1.7976931348623157e308) for _ in range(N)] + [uniform(0.5, 2) for _ in range(2 * N)]
                 + [1 + signed(bits(1e-15, 0.1)) for _ in range(N)] + [math.sqrt(2), math.sqrt(0.5), 2.0, 10.0, 5e-324]),
    "pow": table(mpmath.power, [(uniform(0, 10), uniform(-20, 20)) for _ in range(N)]
                 + [(bits(1e-3, 1e3), signed(bits(1e-6, 90.0))) for _ in range(N)]
                 + [(1 + signed(bits(1e-14, 1e-3)), signed(uniform(1e3, 5e5))) for _ in range(N)]
                 + [(10000.0, -i / 32) for i in range(32)] + [(500000.0, -i / 64) for i in range(64)]
                 + [(0.9, float(i)) for i in range(1, 40)] + [(0.999, float(i)) for i in range(1, 400, 7)]),
    "sin": table(mpmath.sin, [uniform(-4, 4) for _ in range(N)] + [uniform(-1e6, 1e6) for _ in range(N)]
                 + [float(i) for i in range(0, 131072, 997)] + [signed(bits(1e-9, 2.0**60)) for _ in range(N)]
                 + [signed(bits(2.0**20, 1.79e308)) for _ in range(N)] + [i * math.pi / 2 for i in range(1, 60)]
                 # The doubles closest to multiples of pi/2 below 2^21, and of all (Muller, "Elementary Functions", 11.2).
                 + [1608492.0 * math.pi, 6381956970095103.0 * 2.0**797, 1.6e6, 1600000.5]),
    "sinPi": table(lambda x: mpmath.sin(mpmath.pi * x), [uniform(-3, 3) for _ in range(2 * N)]
                   + [bits(1e-12, 1e12) for _ in range(N)] + [i / 4 for i in range(1, 20, 2)]),
}
fixture["cos"] = table(mpmath.cos, [row[0] for row in fixture["sin"]])
fixture["cosPi"] = table(lambda x: mpmath.cos(mpmath.pi * x), [row[0] for row in fixture["sinPi"]])
# Zeros at whole and half numbers are tested as special values.
for name in ("sinPi", "cosPi"):
    fixture[name] = [row for row in fixture[name] if abs(row[1]) > 1e-300]
lines = ",\n".join(f'"{name}":[\n' + ",\n".join(json.dumps(row) for row in rows) + "\n]" for name, rows in fixture.items())
(Path(__file__).parent.parent / "fixtures" / "elementary.json").write_text("{" + lines + "}\n")
