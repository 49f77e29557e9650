"""Measurements. `make bench` prints one table; every figure stands beside one measured in the same run."""

import os

# Lambda's runtime has no awscrt, so there requests are signed in Python; read when botocore is imported.
os.environ.setdefault("BOTO_DISABLE_CRT", "true")
