"""Settings that must hold before any native library is loaded."""

import os

os.environ.setdefault("OMP_WAIT_POLICY", "passive")
